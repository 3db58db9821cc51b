import { Worker } from 'node:worker_threads'
import type { CompressDone, CompressMemory, CompressOrder, CompressWorkerData } from './compress-worker.ts'

/** In a checkout the sources run as they are; in a package the JavaScript made of them does. */
const fromSource = import.meta.url.endsWith('.ts')

/** Threads that read and compress. Made before it is known what they will work on, for they take a while to start. */
export class CompressPool implements Disposable {
  readonly jobs: number
  /** Resolves when every thread waits for orders; rejects when one ends before. */
  readonly ready: Promise<void>
  readonly #workers: readonly Worker[]
  readonly #load: number[]
  readonly #pending = new Map<number, { resolve: (done: CompressDone) => void; reject: (error: Error) => void }>()
  #failed: Error | undefined
  #lastId = 0

  constructor(options: { jobs: number; codec: CompressWorkerData['codec'] }) {
    this.jobs = options.jobs
    this.#workers = Array.from({ length: options.jobs }, (_, index) => this.#start(index, { codec: options.codec }))
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
    if (this.#failed) return Promise.reject(this.#failed)
    let least = 0
    for (let i = 1; i < this.#load.length; i++) {
      if ((this.#load[i] as number) < (this.#load[least] as number)) least = i
    }
    this.#load[least] = (this.#load[least] as number) + 1
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#workers[least]?.postMessage({ ...order, id } satisfies CompressOrder)
    })
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) {
      worker.removeAllListeners()
      void worker.terminate()
    }
  }

  #start(index: number, workerData: CompressWorkerData): Worker {
    const worker = new Worker(new URL(fromSource ? './compress-worker.ts' : './compress-worker.js', import.meta.url), {
      workerData,
      execArgv: fromSource ? ['--conditions=@ullage/source'] : [],
    })
    worker.on('message', (done: CompressDone) => {
      this.#load[index] = (this.#load[index] as number) - 1
      const waiting = this.#pending.get(done.id)
      this.#pending.delete(done.id)
      waiting?.resolve(done)
    })
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
