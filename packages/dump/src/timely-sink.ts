import type { PositionedSink } from '@ullage/vmcore'
import { DumpError } from './dump-error.ts'

/** How long a guest may stand still for one write, in milliseconds: a disk that takes longer hangs. */
const WRITE_WITHIN_MS = 30_000

/**
 * The same sink, of which no write may take long while a guest stands still for it: then it is given up with DumpError `TIMEOUT`,
 * though it may go on. `isHeld` tells whether a guest does.
 */
export function timelySink(sink: PositionedSink, isHeld: () => boolean, withinMs = WRITE_WITHIN_MS): PositionedSink {
  return {
    async write(bytes, position) {
      const writing = sink.write(bytes, position)
      if (!isHeld()) return await writing
      const overdue = Promise.withResolvers<never>()
      const timer = setTimeout(() => overdue.reject(tooSlow(withinMs)), withinMs)
      try {
        await Promise.race([writing, overdue.promise])
      } finally {
        clearTimeout(timer)
      }
    },
    ...(sink.readBack && { readBack: sink.readBack.bind(sink) }),
  }
}

function tooSlow(withinMs: number): DumpError {
  return new DumpError(
    'TIMEOUT',
    `the guest stands still, and a write to the artifact has taken more than ${withinMs / 1000} s: the guest goes on, and nothing is kept; look at the disk`,
  )
}
