import { Worker } from 'node:worker_threads'
import type { CheckPagesData, CheckPagesDone, CheckPagesOrder } from './check-pages-worker.ts'
import type { PageChecker } from './page-checker.ts'
import type { PageTable } from './page-table.ts'
import type { PageFindings } from './page-verifier.ts'

/** In a checkout the sources run as they are; in a package the JavaScript made of them does. */
const fromSource = import.meta.url.endsWith('.ts')

/** A thread works on one table while the next is on its way. */
const TABLES_EACH = 2

interface Thread {
  readonly worker: Worker
  readonly ended: Promise<unknown>
  tables: number
}

interface Waiting {
  readonly thread: Thread
  readonly resolve: (findings: PageFindings) => void
  readonly reject: (error: Error) => void
}

/** Threads that check tables of pages. One that throws or ends is an error for every table that is not done. */
export class PageCheckThreads implements PageChecker, AsyncDisposable {
  readonly width: number
  readonly #threads: readonly Thread[]
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 0
  #failed: Error | undefined
  #closing = false

  constructor(count: number, data: CheckPagesData) {
    this.width = count * TABLES_EACH
    this.#threads = Array.from({ length: count }, () => this.#start(data))
  }

  check({ count, positions, sizes, flags }: PageTable): Promise<PageFindings> {
    if (this.#failed) return Promise.reject(this.#failed)
    const thread = this.#threads.reduce((least, other) => (other.tables < least.tables ? other : least))
    const id = this.#nextId++
    thread.tables++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { thread, resolve, reject })
      thread.worker.postMessage({ id, table: { count, positions, sizes, flags } } satisfies CheckPagesOrder)
    })
  }

  /** Resolves once no thread reads the file any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true
    const idle = this.#waiting.size === 0 && !this.#failed
    for (const { worker } of this.#threads) {
      if (idle) worker.postMessage(undefined satisfies CheckPagesOrder)
      else void worker.terminate()
    }
    await Promise.all(this.#threads.map(({ ended }) => ended))
    this.#fail(new Error('the checking threads were ended'))
  }

  #start(data: CheckPagesData): Thread {
    const url = new URL(fromSource ? './check-pages-worker.ts' : './check-pages-worker.js', import.meta.url)
    const worker = new Worker(url, { workerData: data, execArgv: fromSource ? ['--conditions=@ullage/source'] : [] })
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    worker.on('message', ({ id, findings }: CheckPagesDone) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (!waiting) return
      waiting.thread.tables--
      waiting.resolve(findings)
    })
    worker.on('messageerror', (error) => this.#fail(error))
    worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', (code) => {
      if (!this.#closing) this.#fail(new Error(`a checking thread ended with status ${code}`))
    })
    return { worker, ended, tables: 0 }
  }

  #fail(error: Error): void {
    this.#failed ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#failed)
    this.#waiting.clear()
  }
}
