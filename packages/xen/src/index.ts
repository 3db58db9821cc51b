export { type AbandonedDomain, resumeAbandonedDomains } from './live/resume-abandoned.ts'
export { openXen } from './open-xen.ts'
export type { CoreSource, DomainSource, OpenXenOptions, SaveSource, XenSource } from './xen-source.ts'
