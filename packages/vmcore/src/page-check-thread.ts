import { Worker } from 'node:worker_threads'
import type { CheckAnswer, CheckOrder } from './answer-checks.ts'
import type { CheckedFile, PageChecker } from './page-checker.ts'
import type { PageTable } from './page-table.ts'
import type { PageFindings } from './page-verifier.ts'

/** In a checkout the sources run as they are, and find packages by this condition. */
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
  /** Whether the thread was asked to end, or stopped. */
  #leaving: 'asked' | 'stopped' | undefined

  /** `module` is what the thread runs: it calls `answerChecks`. */
  constructor(module: URL, file: CheckedFile) {
    const execArgv = fromSource ? ['--conditions=@ullage/source'] : []
    this.#worker = new Worker(module, { workerData: file, execArgv })
    this.#worker.on('message', ({ id, findings }: CheckAnswer) => {
      this.#waiting.get(id)?.resolve(findings)
      this.#waiting.delete(id)
    })
    this.#worker.on('messageerror', (error) => this.#fail(error))
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))))
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        const expected = this.#leaving === 'stopped' || (this.#leaving === 'asked' && code === 0)
        if (!expected) this.#fail(new Error(`a checking thread ended with status ${code}`))
        resolve()
      })
    })
  }

  check({ count, positions, sizes, flags }: PageTable): Promise<PageFindings> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      if (this.#failed) this.#fail(this.#failed)
      else this.#worker.postMessage({ id, table: { count, positions, sizes, flags } } satisfies CheckOrder)
    })
  }

  async finish(): Promise<void> {
    if (!this.#failed) {
      this.#leaving = 'asked'
      this.#worker.postMessage(undefined satisfies CheckOrder)
      await this.#ended
    }
    if (this.#failed) throw this.#failed
  }

  /** Resolves once the thread reads the file no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#leaving) {
      this.#leaving = 'stopped'
      void this.#worker.terminate()
    }
    await this.#ended
    this.#fail(new Error('the checking thread was ended'))
  }

  #fail(error: Error): void {
    this.#failed ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#failed)
    this.#waiting.clear()
  }
}
