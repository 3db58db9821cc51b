export { openXen } from './open-xen.ts'
export type { CoreSource, OpenXenOptions, SaveSource, XenSource } from './xen-source.ts'
