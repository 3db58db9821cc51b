import { closeSync, fstatSync, readSync, statSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { OfflineError, throwIfAborted } from '@ullage/offline-query'
import { openRegular } from '../read-bounded.ts'

const CHUNK_BYTES = 1024 * 1024
/** Longer lines are no trace events; what is in them is passed over. */
const MAX_LINE_BYTES = 64 * 1024

/** First eight bytes of what the `simple` trace backend writes (QEMU scripts/simpletrace.py). */
const BINARY_TRACE = Buffer.alloc(8, 0xff)

/** QEMU's log, read as it grows: each call of `lines` goes on where the last one ended. */
export class TraceFile implements Disposable {
  readonly path: string
  #fd: number
  #offset = 0
  #rest = Buffer.alloc(0)
  #isOverlong = false

  /** Throws OfflineError `INVALID`. */
  constructor(path: string) {
    this.path = path
    this.#fd = openRegular(path, "qemu's log with trace events").fd
    const head = Buffer.alloc(BINARY_TRACE.length)
    if (readSync(this.#fd, head, 0, head.length, 0) === head.length && head.equals(BINARY_TRACE)) {
      this[Symbol.dispose]()
      const todo = "use a qemu whose trace backend is log (-trace 'hv_balloon_*' -D FILE)"
      throw new OfflineError('INVALID', `expected lines of text in ${path}, found a binary trace: ${todo}`)
    }
  }

  /** Reads from the start again. */
  rewind(): void {
    this.#offset = 0
    this.#rest = Buffer.alloc(0)
    this.#isOverlong = false
  }

  /** True when the file was cut, or another one stands in its place: what was in it since is lost. */
  isReplaced(): boolean {
    const own = fstatSync(this.#fd)
    if (own.size < this.#offset) return true
    const there = statSync(this.path, { throwIfNoEntry: false })
    return there?.ino !== own.ino || there.dev !== own.dev
  }

  /** The lines that have been finished since. Holds one megabyte at a time. Throws OfflineError or AbortError. */
  async *lines(signal: AbortSignal | undefined): AsyncGenerator<string> {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (;;) {
      // An abort is an event: it shows after a turn of the event loop.
      await setImmediate()
      throwIfAborted(signal)
      const count = this.#read(chunk)
      if (count === 0) return
      this.#offset += count
      const bytes = Buffer.concat([this.#rest, chunk.subarray(0, count)])
      let at = 0
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, at)) {
        if (!this.#isOverlong) yield bytes.toString('latin1', at, end)
        this.#isOverlong = false
        at = end + 1
      }
      this.#rest = Buffer.from(bytes.subarray(at))
      if (this.#rest.length > MAX_LINE_BYTES) {
        this.#isOverlong = true
        this.#rest = Buffer.alloc(0)
      }
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }

  #read(into: Uint8Array): number {
    try {
      return readSync(this.#fd, into, 0, into.length, this.#offset)
    } catch (cause) {
      const found = cause instanceof Error ? cause.message : String(cause)
      throw new OfflineError('INVALID', `expected qemu's log at ${this.path}, found: ${found}`, { cause })
    }
  }
}
