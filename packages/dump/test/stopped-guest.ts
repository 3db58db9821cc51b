import type { StoppedMemory } from '@ullage/lab'
import { type BackingRun, answerBacking, fileGuest, OfflineError, type OpenGuest } from '@ullage/offline-query'
import { cutRange } from '@ullage/pages'

/** The memory of a stopped guest as a guest in files; what the host backs is what it was when `stopped` was opened. */
export function stoppedGuest({ view, elfNotes }: StoppedMemory, cpus: number): OpenGuest {
  const bytes = view.backed.size * view.frameBytes
  return fileGuest({
    backend: 'virtio-balloon',
    machine: view.machine,
    warnings: [],
    notes: { elfNotes, cpus },
    memory: {
      frameBytes: view.frameBytes,
      extents: view.extents.map((range) => ({ ...range, name: 'ram' })),
      notDumped: [],
      read: (range, into) => {
        if (!view.tryRead(range, into)) throw new OfflineError('UNREADABLE', `frame ${range.start} has no memory`)
      },
      capabilities: { granularity: 1, snapshot: true, tellsSwapped: false, unbackedReads: 'zeros' },
      backing: (options) =>
        answerBacking(options, function* (within): Generator<BackingRun> {
          for (const { start, count, inside } of cutRange(within, [...view.backed.runs(within)])) {
            yield { start, count, state: inside ? 'backed' : 'unbacked' }
          }
        }),
      hostMemory: () => ({ backedBytes: bytes, residentBytes: bytes }),
      close: () => undefined,
    },
  })
}
