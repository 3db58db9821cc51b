import {
  answerBacking,
  type BackingRun,
  fileGuest,
  type OfflineCapabilities,
  OfflineError,
  type OpenGuest,
} from '@ullage/offline-query'
import { cutRange, type PfnRange } from '@ullage/pages'
import type { SyntheticGuest } from './synthetic-guest.ts'

export interface OpenSyntheticOptions {
  readonly elfNotes?: Uint8Array
  readonly unbackedReads?: OfflineCapabilities['unbackedReads']
  /** Frames whose reading fails though the host backs them. */
  readonly unreadable?: (pfn: number) => boolean
}

/** A synthetic guest as a backend would open it: a read of what is not guest RAM or not backed throws RangeError. */
export function openSyntheticGuest(guest: SyntheticGuest, options: OpenSyntheticOptions = {}): OpenGuest {
  const { frameBytes, machine } = guest
  const backed = (): number => guest.extents.reduce((sum, { count }) => sum + count, 0) - guest.unbacked.size
  return fileGuest({
    backend: 'synthetic',
    machine,
    memory: {
      frameBytes,
      extents: guest.extents.map((extent) => ({ ...extent, name: 'ram' })),
      notDumped: [],
      read: (range, into) => {
        for (let pfn = range.start; options.unreadable && pfn < range.start + range.count; pfn++) {
          if (options.unreadable(pfn)) throw new OfflineError('UNREADABLE', `frame ${pfn} cannot be read`)
        }
        guest.read(range, into)
      },
      capabilities: {
        granularity: 1,
        snapshot: true,
        tellsSwapped: false,
        unbackedReads: options.unbackedReads ?? 'zeros',
      },
      backing: (question) => answerBacking(question, (within) => backingOf(guest, within)),
      hostMemory: () => ({ backedBytes: backed() * frameBytes, residentBytes: backed() * frameBytes }),
      close: () => undefined,
    },
    addressSpace: { toPfn: (gfn) => guest.toPfn(gfn) },
    notes: { elfNotes: options.elfNotes ?? new Uint8Array(), cpus: 1 },
    warnings: [],
  })
}

function* backingOf(guest: SyntheticGuest, within: PfnRange): Generator<BackingRun> {
  for (const { inside, ...inRam } of cutRange(within, guest.extents)) {
    if (!inside) {
      yield { ...inRam, state: 'unbacked' }
      continue
    }
    for (const { inside: isHole, ...run } of cutRange(inRam, [...guest.unbacked.runs(inRam)])) {
      yield { ...run, state: isHole ? 'unbacked' : 'backed' }
    }
  }
}
