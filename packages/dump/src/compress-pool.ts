import type { OpenPageChecker } from '@ullage/vmcore'
import { Worker } from 'node:worker_threads'
import type {
  CheckDone,
  CheckFile,
  CheckOrder,
  CompressDone,
  CompressMemory,
  CompressOrder,
  CompressWorkerData,
} from './compress-worker.ts'
import { DumpError } from './dump-error.ts'

/** Tables of pages that each thread is given ahead. */
const TABLES_AHEAD = 2

type Done = CompressDone | CheckDone

/** In a checkout the sources run as they are; in a package the JavaScript made of them does. */
const fromSource = import.meta.url.endsWith('.ts')

/**
 * Threads that read and compress, and later check what was written. Made before it is known what they will work on, for they
 * take a while to start.
 */
export class CompressPool implements AsyncDisposable {
  readonly jobs: number
  /** Resolves when every thread waits for orders; rejects when one ends before. */
  readonly ready: Promise<void>
  readonly #workers: Worker[] = []
  readonly #load: number[]
  readonly #pending = new Map<number, { resolve: (done: Done) => void; reject: (error: Error) => void }>()
  #failed: Error | undefined
  #lastId = 0

  constructor(options: { jobs: number; codec: CompressWorkerData['codec'] }) {
    this.jobs = options.jobs
    try {
      while (this.#workers.length < options.jobs) this.#workers.push(this.#start({ codec: options.codec }))
    } catch (error) {
      // Those that run would keep the process alive, and nobody has them.
      void this.#end()
      throw tooFewThreads(options.jobs, this.#workers.length, error)
    }
    this.#load = this.#workers.map(() => 0)
    // An order that asks for nothing; each goes to another thread.
    const started = Promise.all(this.#workers.map(() => this.run({ at: 0, pieces: [], count: 0 })))
    this.ready = started.then(() => undefined)
    // Whoever does not wait hears of it with the first order.
    this.ready.catch(() => undefined)
  }

  /** Gives all threads the memory that orders speak of. */
  use(memory: CompressMemory): void {
    for (const worker of this.#workers) worker.postMessage(memory)
  }

  /** Has one thread carry out an order. Rejects when a thread has ended. */
  run(order: Omit<CompressOrder, 'id'>): Promise<CompressDone> {
    return this.#ask(order)
  }

  /** A checker of one file in these threads, which are to have nothing else to do. It ends with them. */
  readonly checker: OpenPageChecker = (file) => {
    for (const worker of this.#workers) worker.postMessage({ file } satisfies CheckFile)
    return {
      width: this.jobs * TABLES_AHEAD,
      check: async ({ count, positions, sizes, flags }) => {
        const table = { count, positions, sizes, flags }
        return (await this.#ask<CheckDone>({ table })).findings
      },
      finish: async () => {
        if (this.#failed) throw this.#failed
      },
      // Threads that have not answered may still read the file.
      [Symbol.asyncDispose]: async () => {
        if (this.#failed || this.#pending.size > 0) await this.#end()
      },
    }
  }

  #ask<T extends Done>(order: Omit<CompressOrder, 'id'> | Omit<CheckOrder, 'id'>): Promise<T> {
    if (this.#failed) return Promise.reject(this.#failed)
    let least = 0
    for (let i = 1; i < this.#load.length; i++) {
      if ((this.#load[i] as number) < (this.#load[least] as number)) least = i
    }
    this.#load[least] = (this.#load[least] as number) + 1
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      // A thread answers an order with what that order asks for.
      this.#pending.set(id, { resolve: resolve as (done: Done) => void, reject })
      this.#workers[least]?.postMessage({ ...order, id } satisfies CompressOrder | CheckOrder)
    })
  }

  /** Resolves when no thread runs any more: one that the end of the process overtakes may still be at work. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
  }

  /** Ends all threads; nobody hears of orders that are not done. Resolves when none runs. */
  async #end(): Promise<void> {
    this.#failed ??= new Error('the compressing threads were ended')
    await Promise.all(
      this.#workers.map((worker) => {
        worker.removeAllListeners()
        // One that fails now is of no interest, but an error that nobody hears ends the process.
        worker.on('error', () => undefined)
        return worker.terminate()
      }),
    )
  }

  #start(workerData: CompressWorkerData): Worker {
    const index = this.#workers.length
    const worker = new Worker(new URL(fromSource ? './compress-worker.ts' : './compress-worker.js', import.meta.url), {
      workerData,
      execArgv: fromSource ? ['--conditions=@ullage/source'] : [],
    })
    worker.on('message', (done: Done) => {
      this.#load[index] = (this.#load[index] as number) - 1
      const waiting = this.#pending.get(done.id)
      this.#pending.delete(done.id)
      waiting?.resolve(done)
    })
    worker.on('messageerror', (error) => this.#fail(error))
    worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', (code) => this.#fail(new Error(`a compressing thread ended with status ${code}`)))
    return worker
  }

  #fail(error: Error): void {
    this.#failed ??= error
    for (const { reject } of this.#pending.values()) reject(this.#failed)
    this.#pending.clear()
  }
}

function tooFewThreads(wanted: number, started: number, cause: unknown): DumpError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new DumpError(
    'NO_THREADS',
    `expected to start ${wanted} threads, could start ${started} (${why}): raise this user's limit of processes, or ask for fewer jobs`,
    { cause },
  )
}
