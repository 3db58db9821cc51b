import { z } from 'zod'

/**
 * - `queued`: accepted; no worker has it, or the worker that had it is gone and another attempt follows.
 * - `running`: a worker makes it.
 * - `succeeded`: the artifact is published.
 * - `failed`: there will be no artifact; the failure says why.
 * - `cancelled`: somebody asked for that.
 * - `lost`: a worker had it and the queue no longer knows it.
 */
export const dumpState = z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled', 'lost'])
export type DumpState = z.infer<typeof dumpState>

const next = {
  queued: ['running', 'succeeded', 'failed', 'cancelled', 'lost'],
  running: ['queued', 'succeeded', 'failed', 'cancelled', 'lost'],
  succeeded: [],
  failed: [],
  cancelled: [],
  lost: [],
} as const satisfies Record<DumpState, readonly DumpState[]>

/** Whether a dump in state `from` may come to be in state `to`. Staying is no move. */
export function canBecome(from: DumpState, to: DumpState): boolean {
  return (next[from] as readonly DumpState[]).includes(to)
}

/** True once nothing more happens to a dump. */
export function isFinished(state: DumpState): boolean {
  return next[state].length === 0
}

/** The states in which a dump holds its guest: one dump per guest is in one of them. */
export const activeStates = ['queued', 'running'] as const satisfies readonly DumpState[]
