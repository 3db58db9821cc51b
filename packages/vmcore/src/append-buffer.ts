import type { PositionedSink } from './vmcore-writer.ts'

/**
 * Turns many small appends into few large writes to one stretch of a sink. `end` is where the next byte goes.
 * One append at a time: the caller awaits each.
 */
export class AppendBuffer {
  readonly #sink: PositionedSink
  readonly #buffer: Uint8Array
  #position: number
  #used = 0

  constructor(sink: PositionedSink, position: number, bufferBytes: number) {
    this.#sink = sink
    this.#position = position
    this.#buffer = new Uint8Array(bufferBytes)
  }

  get end(): number {
    return this.#position + this.#used
  }

  /** Takes `bytes` over: they may be reused once it resolves. Large ones are written without a copy. */
  async append(bytes: Uint8Array): Promise<void> {
    if (bytes.length > this.#buffer.length - this.#used) await this.flush()
    if (bytes.length >= this.#buffer.length) {
      await this.#sink.write(bytes, this.#position)
      this.#position += bytes.length
      return
    }
    this.#buffer.set(bytes, this.#used)
    this.#used += bytes.length
  }

  /** Leaves out `bytes` bytes, which then read as zeros. */
  async skip(bytes: number): Promise<void> {
    await this.flush()
    this.#position += bytes
  }

  async flush(): Promise<void> {
    if (this.#used === 0) return
    await this.#sink.write(this.#buffer.subarray(0, this.#used), this.#position)
    this.#position += this.#used
    this.#used = 0
  }
}
