import type { DumpFailure, DumpProgress, DumpResult, DumpState } from '@ullage/dump-job'
import type { DumpRecord } from './dump-record.ts'

/** What the queue says of one dump. */
export interface ObservedJob {
  readonly state: Extract<DumpState, 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled'>
  /** How often a worker has begun it. */
  readonly attempts: number
  readonly startedMs: number | null
  readonly finishedMs: number | null
  readonly progress: DumpProgress | null
  readonly failure: DumpFailure | null
  readonly result: DumpResult | null
}

/** What the API needs of a queue. Every call throws ApiProblem QUEUE_UNREACHABLE when the queue does not answer. */
export interface JobQueue {
  /** Puts the dump on its host's queue. Does nothing when it is there already. */
  add(dump: DumpRecord): Promise<void>
  /** What became of the dump, or undefined when the queue does not know it. */
  observe(dump: DumpRecord): Promise<ObservedJob | undefined>
  /** Takes the dump off the queue (true), or tells its worker to end it (false). */
  cancel(dump: DumpRecord): Promise<boolean>
  /** Forgets a finished dump. */
  forget(dump: DumpRecord): Promise<void>
  /** Asks the host's worker about the guest's frames. Throws ApiProblem PAGES_FAILED or PAGES_TIMEOUT. */
  pages(host: string, guest: string, tenant: string | null): Promise<unknown>
}
