import type { DumpProgress } from '@ullage/dump'

const INTERVAL_MS = 100

/** A progress line on stderr, redrawn at most ten times a second, when stderr is a terminal; else nothing. */
export class ProgressLine implements Disposable {
  #last = 0
  #drawn = false

  show({ stage, done, total }: DumpProgress): void {
    if (!process.stderr.isTTY) return
    const now = performance.now()
    if (now - this.#last < INTERVAL_MS && done < total) return
    this.#last = now
    this.#drawn = true
    const percent = total === 0 ? 100 : Math.floor((done / total) * 100)
    process.stderr.write(`\r\x1b[K${stage} ${percent}% (${done} of ${total})`)
  }

  [Symbol.dispose](): void {
    if (this.#drawn) process.stderr.write('\r\x1b[K')
  }
}
