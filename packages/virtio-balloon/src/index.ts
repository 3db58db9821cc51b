export { type AbandonedGuest, resumeAbandoned } from '@ullage/qemu'
export { openVirtioBalloon } from './open-virtio-balloon.ts'
export type {
  FileRegion,
  FilesSource,
  OpenVirtioBalloonOptions,
  QmpSource,
  VirtioBalloonSource,
} from './virtio-balloon-source.ts'
