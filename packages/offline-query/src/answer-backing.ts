import { setImmediate } from 'node:timers/promises'
import type { PfnRange } from '@ullage/pages'
import { throwIfAborted } from './abort-error.ts'
import { checkFrames, checkSkip } from './check-frames.ts'
import type { BackingOptions, BackingRun } from './offline-query.ts'

/** Longest time without a turn of the event loop, without which no abort would ever be seen. */
const TURN_MS = 20

/** Runs between two looks at the clock. */
const RUNS_A_LOOK = 64

/**
 * `OfflineQuery.backing` for a backend that finds states synchronously. `find` yields gapless runs of `within`, maximal or
 * not, a bounded amount of work each, and throws what should come out; it is not called for a `within` or `skip` that
 * cannot be. Joins neighbours of one state, heeds the signal, and lets the event loop turn.
 */
export async function* answerBacking(
  { within, skip = [], signal }: BackingOptions,
  find: (within: PfnRange, skip: readonly PfnRange[]) => Iterable<BackingRun>,
): AsyncGenerator<BackingRun> {
  throwIfAborted(signal)
  checkFrames(within)
  checkSkip(skip)
  let open: { start: number; count: number; state: BackingRun['state'] } | undefined
  let turned = performance.now()
  let runs = 0
  for (const { start, count, state } of find(within, skip)) {
    if (++runs % RUNS_A_LOOK === 0 && performance.now() - turned > TURN_MS) {
      await setImmediate()
      turned = performance.now()
    }
    throwIfAborted(signal)
    if (open?.state === state) {
      open.count += count
      continue
    }
    if (open) yield open
    open = { start, count, state }
  }
  throwIfAborted(signal)
  if (open) yield open
}
