import type { GuestNotes, OfflineQuery, RamExtent } from '@ullage/offline-query'
import { cpuNotes, type NotesElf, type QmpClient } from '@ullage/qemu'

export interface LiveNotes extends GuestNotes {
  /** e_machine of the core that QEMU wrote; undefined when it was not asked. */
  readonly machine: NotesElf['machine'] | undefined
}

/**
 * The notes of a live guest. QEMU gets at them by dumping one frame, which must be backed: reading another would allocate
 * it. Empty when not one frame is.
 */
export async function liveNotes(
  client: QmpClient,
  ram: OfflineQuery & { readonly frameBytes: number; readonly extents: readonly RamExtent[] },
  options: { folder: string; signal?: AbortSignal | undefined },
): Promise<LiveNotes> {
  const pfn = await firstBacked(ram, options.signal)
  if (pfn === undefined) return { elfNotes: new Uint8Array(0), cpus: 0, machine: undefined }
  return cpuNotes(client, { ...options, beginBytes: pfn * ram.frameBytes })
}

async function firstBacked(
  ram: OfflineQuery & { readonly extents: readonly RamExtent[] },
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  for (const { start, count } of ram.extents) {
    const within = { start, count }
    for await (const run of ram.backing(signal ? { within, signal } : { within })) {
      if (run.state === 'backed') return run.start
    }
  }
  return undefined
}
