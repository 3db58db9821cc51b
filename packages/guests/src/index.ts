export type { AbandonedGuest, OpenOptions } from './backend.ts'
export { type GuestDescriptor, loadDescriptor, openGuest } from './descriptor.ts'
export { DescriptorError } from './descriptor-error.ts'
export { resumeAbandoned } from './resume-abandoned.ts'
