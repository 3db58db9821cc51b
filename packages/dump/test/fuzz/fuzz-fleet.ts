import { Worker } from 'node:worker_threads'
import type { BaseSet } from './fuzz-bases.ts'
import { addTally, emptyTally, type FuzzTally, type FuzzTask, type WorkerStart } from './fuzz-messages.ts'

/** Guests that a worker is given at a time. */
const TASK_GUESTS = 50
/** Longest time that a task may take before its guest counts as one that hangs. */
const TASK_MS = 300_000
/** Findings after which nothing more is to be learnt. */
const MOST_FINDINGS = 20

export interface FleetOptions {
  readonly guests: number
  /** First seed; the seeds that follow are the guests that follow. */
  readonly seed: number
  readonly workers: number
  readonly set?: BaseSet
  /** Ends after this long, whatever is left. */
  readonly milliseconds?: number
  readonly onProgress?: (tally: FuzzTally) => void
}

export interface FleetResult extends FuzzTally {
  readonly elapsedMs: number
  /** Peak resident memory of this process with all its workers, in bytes. */
  readonly peakBytes: number
}

/** Runs guests in worker threads. A guest that hangs, or ends its thread, is a finding like any other. */
export async function runFleet(options: FleetOptions): Promise<FleetResult> {
  const started = performance.now()
  const deadline = started + (options.milliseconds ?? Number.POSITIVE_INFINITY)
  const sum = emptyTally()
  let next = 0
  const nextTask = (): FuzzTask | undefined => {
    if (next >= options.guests || performance.now() > deadline || sum.findings.length >= MOST_FINDINGS) return undefined
    const count = Math.min(TASK_GUESTS, options.guests - next)
    const first = (options.seed + next) >>> 0
    next += count
    return { first, count }
  }
  const done = (tally: FuzzTally): void => {
    addTally(sum, tally)
    options.onProgress?.(sum)
  }
  await Promise.all(Array.from({ length: options.workers }, () => runWorker(options.set ?? 'all', nextTask, done)))
  return { ...sum, elapsedMs: performance.now() - started, peakBytes: process.resourceUsage().maxRSS * 1024 }
}

function runWorker(
  set: BaseSet,
  nextTask: () => FuzzTask | undefined,
  done: (tally: FuzzTally) => void,
): Promise<void> {
  const current = new SharedArrayBuffer(4)
  const start: WorkerStart = { set, current }
  const worker = new Worker(new URL('./fuzz-worker.ts', import.meta.url), { workerData: start })
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined
    const end = (finding?: string): void => {
      clearTimeout(timer)
      worker.removeAllListeners()
      if (finding !== undefined) done({ ...emptyTally(), guests: 1, findings: [finding] })
      worker.terminate().then(
        () => resolve(),
        () => resolve(),
      )
    }
    const seed = (): number => new Uint32Array(current)[0] ?? 0
    worker.on('error', (error) =>
      end(`seed ${seed()}: the thread ended: ${error instanceof Error ? error.stack : error}`),
    )
    worker.on('exit', (code) => end(`seed ${seed()}: the thread exited with ${code}`))
    worker.on('message', (message: FuzzTally | 'ready') => {
      clearTimeout(timer)
      if (message !== 'ready') done(message)
      const task = nextTask()
      if (!task) return end()
      timer = setTimeout(() => end(`seed ${seed()}: no end after ${TASK_MS} ms`), TASK_MS)
      worker.postMessage(task)
      return undefined
    })
  })
}
