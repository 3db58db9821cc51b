export type { AbandonedGuest } from '@ullage/qemu'
export { openVirtioBalloon } from './open-virtio-balloon.ts'
export { resumeAbandoned } from './resume-abandoned.ts'
export type {
  FileRegion,
  FilesSource,
  OpenVirtioBalloonOptions,
  QmpSource,
  VirtioBalloonSource,
} from './virtio-balloon-source.ts'
