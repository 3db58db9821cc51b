import { Worker } from 'node:worker_threads'
import type { CheckPagesData, CheckPagesDone, CheckPagesOrder } from './check-pages-worker.ts'
import type { PageChecker } from './page-checker.ts'
import type { PageTable } from './page-table.ts'
import type { PageFindings } from './page-verifier.ts'

/** In a checkout the sources run as they are; in a package the JavaScript made of them does. */
const fromSource = import.meta.url.endsWith('.ts')

/** Enough for the thread to go on while the one that hands out tables is busy with one of its own. */
const TABLES_AHEAD = 4

interface Waiting {
  readonly resolve: (findings: PageFindings) => void
  readonly reject: (error: Error) => void
}

/** A thread that checks tables of pages. When it throws or ends, that is an error for every table that is not done. */
export class PageCheckThread implements PageChecker, AsyncDisposable {
  readonly width = TABLES_AHEAD
  readonly #worker: Worker
  readonly #ended: Promise<void>
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 0
  #failed: Error | undefined
  #closing = false

  constructor(data: CheckPagesData) {
    const url = new URL(fromSource ? './check-pages-worker.ts' : './check-pages-worker.js', import.meta.url)
    const execArgv = fromSource ? ['--conditions=@ullage/source'] : []
    this.#worker = new Worker(url, { workerData: data, execArgv })
    this.#worker.on('message', ({ id, findings }: CheckPagesDone) => {
      this.#waiting.get(id)?.resolve(findings)
      this.#waiting.delete(id)
    })
    this.#worker.on('messageerror', (error) => this.#fail(error))
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))))
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        if (!this.#closing) this.#fail(new Error(`a checking thread ended with status ${code}`))
        resolve()
      })
    })
  }

  check({ count, positions, sizes, flags }: PageTable): Promise<PageFindings> {
    if (this.#failed) return Promise.reject(this.#failed)
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#worker.postMessage({ id, table: { count, positions, sizes, flags } } satisfies CheckPagesOrder)
    })
  }

  /** Resolves once the thread reads the file no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true
    if (this.#waiting.size === 0 && !this.#failed) this.#worker.postMessage(undefined satisfies CheckPagesOrder)
    else void this.#worker.terminate()
    await this.#ended
    this.#fail(new Error('the checking thread was ended'))
  }

  #fail(error: Error): void {
    this.#failed ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#failed)
    this.#waiting.clear()
  }
}
