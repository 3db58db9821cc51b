export { openXen } from './open-xen.ts'
export type { CoreSource, OpenXenOptions, XenSource } from './xen-source.ts'
