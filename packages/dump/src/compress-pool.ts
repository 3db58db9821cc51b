import { Worker } from 'node:worker_threads'
import { allocateBatch, type BatchMemory, type CompressSettings } from './compress-batch.ts'
import type { CompressDone, CompressOrder, CompressWorkerData } from './compress-worker.ts'

/** In a checkout the sources run as they are; in a package the JavaScript made of them does. */
const fromSource = import.meta.url.endsWith('.ts')

/** Threads that compress batches, and the batches: a fixed number of both, so memory is bounded whatever the guest. */
export class CompressPool implements Disposable {
  readonly batches: readonly BatchMemory[]
  readonly #workers: readonly Worker[]
  readonly #load: number[]
  readonly #pending = new Map<number, { resolve: (bytes: number) => void; reject: (error: Error) => void }>()
  #failed: Error | undefined

  constructor(options: {
    jobs: number
    settings: CompressSettings
    codec: CompressWorkerData['codec']
    maxCompressedBytes: number
  }) {
    const count = options.jobs * 2 + 2
    this.batches = Array.from({ length: count }, () =>
      allocateBatch(options.settings.pageBytes, options.maxCompressedBytes),
    )
    const workerData: CompressWorkerData = { batches: this.batches, settings: options.settings, codec: options.codec }
    this.#workers = Array.from({ length: options.jobs }, (_, index) => this.#start(index, workerData))
    this.#load = this.#workers.map(() => 0)
  }

  /** Compresses `count` frames of batch `batch`; resolves with the bytes of its payloads. */
  compress(batch: number, count: number): Promise<number> {
    if (this.#failed) return Promise.reject(this.#failed)
    let least = 0
    for (let i = 1; i < this.#load.length; i++) {
      if ((this.#load[i] as number) < (this.#load[least] as number)) least = i
    }
    this.#load[least] = (this.#load[least] as number) + 1
    return new Promise((resolve, reject) => {
      this.#pending.set(batch, { resolve, reject })
      this.#workers[least]?.postMessage({ batch, count } satisfies CompressOrder)
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
    worker.on('message', ({ batch, bytes }: CompressDone) => {
      this.#load[index] = (this.#load[index] as number) - 1
      const waiting = this.#pending.get(batch)
      this.#pending.delete(batch)
      waiting?.resolve(bytes)
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
