import { resolve } from 'node:path'
import type { OpenGuest } from '@ullage/offline-query'
import { openFiles } from './open-files.ts'
import { openLive } from './open-live.ts'
import type { OpenVirtioBalloonOptions, VirtioBalloonSource } from './virtio-balloon-source.ts'

/**
 * Opens a guest with a virtio balloon, or virtio-mem, or neither: a live one through QEMU's monitor, or one whose RAM is
 * in files. A live guest is locked on this host until it is disposed of. Throws OfflineError, or AbortError.
 */
export async function openVirtioBalloon(
  source: VirtioBalloonSource,
  options: OpenVirtioBalloonOptions,
): Promise<OpenGuest> {
  if (source.kind === 'files') return openFiles(source, options)
  return openLive(resolve(options.baseDir, source.socket), options)
}
