import type { ByteSource } from './byte-source.ts'

const WINDOW_BYTES = 4 << 20

interface Window {
  readonly buffer: Buffer
  start: number
  end: number
}

/**
 * Reads pages that mostly follow one another in a file: in large pieces, the next of them while the caller works on this
 * one. The window only moves forward, so that no order of pages makes it read more than the file twice; a page behind it
 * is read alone.
 */
export class PageWindow {
  readonly #source: ByteSource
  readonly #maxPageBytes: number
  #current: Window
  #next: Window
  #pending: Promise<void> | undefined
  readonly #alone: Buffer

  constructor(source: ByteSource, maxPageBytes: number) {
    this.#source = source
    this.#maxPageBytes = maxPageBytes
    const empty = (): Window => ({ buffer: Buffer.allocUnsafe(WINDOW_BYTES + maxPageBytes), start: 0, end: 0 })
    this.#current = empty()
    this.#next = empty()
    this.#alone = Buffer.allocUnsafe(maxPageBytes)
  }

  /** Where the last page that was asked for stands: `buffer` from `offset` on. */
  buffer: Buffer = Buffer.alloc(0)
  offset = 0

  /** True when the page is in memory already; then `buffer` and `offset` say where. */
  has(position: number, size: number): boolean {
    const { buffer, start, end } = this.#current
    if (position < start || position + size > end) return false
    this.buffer = buffer
    this.offset = position - start
    return true
  }

  /** True when the page stands before the window, so that `load` reads it alone. */
  isBehind(position: number): boolean {
    return position < this.#current.start
  }

  /** Brings the page into memory. Throws VmcoreError, naming `what`, when it lies outside the file. */
  async load(position: number, size: number, what: () => string): Promise<void> {
    if (this.isBehind(position) || position + size > this.#source.sizeBytes) {
      await this.#source.read(this.#alone.subarray(0, size), position, what())
      this.buffer = this.#alone
      this.offset = 0
      return
    }
    await this.#pending
    this.#pending = undefined
    if (position < this.#next.start || position + size > this.#next.end) await this.#fill(this.#next, position)
    const passed = this.#current
    this.#current = this.#next
    this.#next = passed
    // A page that starts in this window and ends behind it must be whole in the next one.
    const nextStart = Math.max(this.#current.start, this.#current.end - this.#maxPageBytes)
    if (this.#current.end < this.#source.sizeBytes) {
      this.#pending = this.#fill(this.#next, nextStart)
      // A failure is thrown where it is awaited, if the caller gets that far.
      this.#pending.catch(() => undefined)
    }
    this.has(position, size)
  }

  /** Resolves once nothing is being read any more. */
  async settle(): Promise<void> {
    await this.#pending?.catch(() => undefined)
  }

  async #fill(window: Window, start: number): Promise<void> {
    const end = Math.min(start + window.buffer.length, this.#source.sizeBytes)
    window.start = start
    window.end = start
    await this.#source.read(window.buffer.subarray(0, end - start), start, 'page data')
    window.end = end
  }
}
