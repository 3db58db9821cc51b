/** What a worker knows of its own consuming. Times in milliseconds of one monotonic clock. */
export interface ConsumptionFacts {
  /** Why the queue is no longer read though nobody asked for an end; undefined while it is. */
  readonly ended: string | undefined
  readonly paused: boolean
  /** When Redis last answered this worker's look at its queue. */
  readonly answeredAt: number
  /** When the heartbeat of this worker was last written; undefined before the first one. */
  readonly beatAt: number | undefined
  /** The code by which Redis refused the heartbeat since; undefined while it takes writes. */
  readonly writeRefusal: string | undefined
  /** Since when jobs wait although this worker has a free place; undefined while none does. */
  readonly waitingSince: number | undefined
  readonly running: number
}

export interface ConsumptionVerdict {
  /** False when only a new start helps: nothing that runs is lost by it. */
  readonly alive: boolean
  /** False when jobs are not taken at the moment. */
  readonly ready: boolean
  /** What was found, in a sentence. */
  readonly reason: string
}

/** Redis that is silent for longer is taken for gone, in milliseconds. */
export const SILENT_AFTER_MS = 15_000
/** A heartbeat is written within this, in milliseconds. */
export const UNBEATEN_AFTER_MS = 15_000
/** A free place and a waiting job find each other within this, in milliseconds. */
export const IDLE_AFTER_MS = 30_000
/** A worker that runs nothing and takes nothing for so long needs a new start, in milliseconds. */
export const STUCK_AFTER_MS = 300_000

/** Whether a worker still consumes. A Redis that is away makes it unready, never dead: a new start would not help. */
export function judgeConsumption(facts: ConsumptionFacts, now: number): ConsumptionVerdict {
  if (facts.ended !== undefined) {
    return { alive: false, ready: false, reason: `the queue is no longer read: ${facts.ended}` }
  }
  const waited = facts.waitingSince === undefined ? 0 : now - facts.waitingSince
  const alive = facts.running > 0 || waited < STUCK_AFTER_MS
  if (facts.paused) return { alive, ready: false, reason: 'the queue is paused in this worker' }
  const silent = now - facts.answeredAt
  if (silent >= SILENT_AFTER_MS) {
    return { alive, ready: false, reason: `redis has not answered for ${Math.round(silent / 1000)} s` }
  }
  const unbeaten = facts.beatAt === undefined ? Number.POSITIVE_INFINITY : now - facts.beatAt
  if (unbeaten >= UNBEATEN_AFTER_MS) {
    const { writeRefusal: code } = facts
    const why = code === undefined ? '' : `redis takes no writes (${code}): `
    const since = Number.isFinite(unbeaten)
      ? `the heartbeat was not written for ${Math.round(unbeaten / 1000)} s`
      : 'no heartbeat has been written yet'
    return { alive, ready: false, reason: `${why}${since}` }
  }
  if (waited >= IDLE_AFTER_MS) {
    const reason = `jobs have waited for ${Math.round(waited / 1000)} s although this worker has a free place`
    return { alive, ready: false, reason }
  }
  return { alive, ready: true, reason: 'ok' }
}
