import { resolve } from 'node:path'
import type { OpenGuest } from '@ullage/offline-query'
import { openFiles } from './open-files.ts'
import type { OpenVirtioBalloonOptions, VirtioBalloonSource } from './virtio-balloon-source.ts'

const balloon = {
  onHugePages: 'the balloon gives one back only when all of it is inflated',
  keepsForPassthrough: true,
}

/**
 * Opens a guest with a virtio balloon, or virtio-mem, or neither: a live one through QEMU's monitor, or one whose RAM is
 * in files. A live guest is locked on this host until it is disposed of. Throws OfflineError, or AbortError.
 */
export async function openVirtioBalloon(
  source: VirtioBalloonSource,
  options: OpenVirtioBalloonOptions,
): Promise<OpenGuest> {
  if (source.kind === 'files') return openFiles(source, options)
  // Only where it is needed: a guest in files needs nothing of QEMU's monitor.
  const { openQemuGuest } = await import('@ullage/qemu-guest')
  const { stateDir, signal, guardianScope, pauses } = options
  const socketPath = resolve(options.baseDir, source.socket)
  return openQemuGuest(socketPath, { backend: 'virtio-balloon', balloon, stateDir, signal, guardianScope, pauses })
}
