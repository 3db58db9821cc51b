export type { OpenOptions } from './backend.ts'
export { type GuestDescriptor, loadDescriptor, openGuest } from './descriptor.ts'
export { DescriptorError } from './descriptor-error.ts'
