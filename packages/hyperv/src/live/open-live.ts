import { resolve } from 'node:path'
import type { OpenGuest } from '@ullage/offline-query'
import { openQemuGuest } from '@ullage/qemu-guest'
import type { OpenHypervOptions, QmpSource } from '../hyperv-source.ts'
import { TraceWitness } from './trace-witness.ts'

// QEMU hw/hyperv/hv-balloon.c discards pages of 4 KiB only, and asks nobody whether discarding is inhibited.
const balloon = { onHugePages: 'hv-balloon gives none of it back to the host', keepsForPassthrough: false }

/** Opens a live guest whose QEMU is its Dynamic Memory host. Throws OfflineError or AbortError. */
export function openLive(source: QmpSource, options: OpenHypervOptions): Promise<OpenGuest> {
  const { stateDir, signal, guardianScope, pauses } = options
  const trace = source.trace === undefined ? undefined : resolve(options.baseDir, source.trace)
  return openQemuGuest(resolve(options.baseDir, source.socket), {
    backend: 'hyperv',
    balloon,
    stateDir,
    signal,
    guardianScope,
    pauses,
    witness: async () => new TraceWitness(trace),
  })
}
