import { monitorEventLoopDelay } from 'node:perf_hooks'
import { failureWords, type PublishedReport } from '@ullage/dump-job'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ConsumptionWatch } from './watch-consumption.ts'

const SECONDS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600]
const PHASES = ['classify', 'write', 'verify'] as const
const KINDS = ['untouched', 'inUseUnbacked', 'offlineUntold'] as const
/** What a code becomes that the table of failures does not have. */
const OTHER = 'OTHER'

export type AttemptOutcome = 'succeeded' | 'failed' | 'putBack'

/**
 * Figures of one host's worker. No label names a guest or a dump: the number of series does not grow with either. Counts
 * begin with this run.
 */
export class WorkerMetrics implements Disposable {
  readonly registry = new Registry()
  readonly #attempts: Counter
  readonly #phases: Histogram
  readonly #paused: Histogram
  readonly #bytes: Counter
  readonly #disagreements: Counter
  readonly #alarms: Counter
  readonly #reclaimable = new Map<string, number>()
  /** Not before it has begun. */
  #consuming = () => false
  readonly #loop = monitorEventLoopDelay({ resolution: 20 })

  constructor() {
    const registers = [this.registry]
    this.#attempts = new Counter({
      name: 'ullage_worker_attempts_total',
      help: 'attempts at dumps that ended, by how; code is that of the failure',
      labelNames: ['outcome', 'code'],
      registers,
    })
    this.#phases = new Histogram({
      name: 'ullage_worker_phase_seconds',
      help: 'what each phase of a dump took',
      labelNames: ['phase'],
      buckets: SECONDS,
      registers,
    })
    this.#paused = new Histogram({
      name: 'ullage_worker_pause_seconds',
      help: 'time that a guest stood still for its dump',
      buckets: SECONDS,
      registers,
    })
    this.#bytes = new Counter({
      name: 'ullage_worker_artifact_bytes_total',
      help: 'bytes of published artifacts',
      registers,
    })
    this.#disagreements = new Counter({
      name: 'ullage_worker_disagreement_frames_total',
      help: 'frames of which guest and host said what does not fit, by kind',
      labelNames: ['kind'],
      registers,
    })
    this.#alarms = new Counter({
      name: 'ullage_worker_alarms_total',
      help: 'dumps whose report says that memory the guest relies on may be gone',
      registers,
    })
    // A series that begins with its first event has no increase by it: all that can be counted are there from the start.
    for (const outcome of ['succeeded', 'putBack']) this.#attempts.inc({ outcome, code: '' }, 0)
    for (const code of [...Object.keys(failureWords), OTHER]) this.#attempts.inc({ outcome: 'failed', code }, 0)
    for (const phase of PHASES) this.#phases.zero({ phase })
    for (const kind of KINDS) this.#disagreements.inc({ kind }, 0)
    const reclaimable = this.#reclaimable
    this.#gauge(
      'ullage_worker_reclaimable_bytes',
      'memory that guests gave back and the host still holds, by the last dump of each guest',
      () => [...reclaimable.values()].reduce((sum, bytes) => sum + bytes, 0),
    )
    this.#gauge('ullage_worker_consuming', '1 while this worker takes jobs, else 0', () => (this.#consuming() ? 1 : 0))
    this.#loop.enable()
    this.#gauge(
      'ullage_worker_event_loop_delay_seconds',
      'longest delay of the event loop since the last scrape',
      () => {
        const seconds = this.#loop.max / 1e9
        this.#loop.reset()
        return seconds
      },
    )
  }

  /** Adds what is known of the queue. */
  watch(
    queue: ConsumptionWatch,
    now: { running: () => number; waitingForSpace: () => number; mayEvict: () => boolean },
  ): void {
    this.#gauge('ullage_worker_dumps_running', 'dumps that this worker makes now', now.running)
    this.#gauge(
      'ullage_worker_dumps_waiting_for_space',
      'of them, those that wait until others have ended and made room on a disk',
      now.waitingForSpace,
    )
    this.#gauge('ullage_worker_redis_may_evict', '1 while Redis may drop jobs and locks, else 0', () =>
      now.mayEvict() ? 1 : 0,
    )
    this.#gauge('ullage_worker_jobs_waiting', 'jobs that waited for this host at the last look', () => queue.waiting)
    this.#consuming = () => queue.verdict().ready
  }

  /** Counts an attempt that ended. `code` is empty when it did not fail. */
  attempt(outcome: AttemptOutcome, code = ''): void {
    this.#attempts.inc({ outcome, code: code === '' || Object.hasOwn(failureWords, code) ? code : OTHER })
  }

  /** Counts what a published dump's report says. */
  published(guest: string, report: PublishedReport): void {
    for (const phase of PHASES) this.#phases.observe({ phase }, report.timingsMs[phase] / 1000)
    this.#paused.observe(report.consistency.pausedMs / 1000)
    this.#bytes.inc(report.artifact.bytes)
    const { reclaimableBytes, alarm } = report.disagreements
    for (const kind of KINDS) this.#disagreements.inc({ kind }, report.disagreements[kind])
    if (alarm) this.#alarms.inc()
    this.#reclaimable.set(guest, reclaimableBytes)
  }

  /** Forgets guests that this host no longer has. */
  keepGuests(guests: ReadonlySet<string>): void {
    for (const guest of this.#reclaimable.keys()) if (!guests.has(guest)) this.#reclaimable.delete(guest)
  }

  [Symbol.dispose](): void {
    this.#loop.disable()
  }

  #gauge(name: string, help: string, read: () => number): void {
    this.registry.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read())
        },
      }),
    )
  }
}
