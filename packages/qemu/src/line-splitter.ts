/** Cuts a stream of bytes into lines of at most `maxBytes`, so that a peer that never ends its line cannot fill memory. */
export class LineSplitter {
  readonly #maxBytes: number
  #parts: Uint8Array[] = []
  #heldBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The start of the line that has not ended yet, for a message. */
  get unfinished(): string {
    return Buffer.concat(this.#parts).toString('utf8')
  }

  /** The lines that `chunk` completes, without their ends. Throws RangeError when one grows longer than allowed. */
  *push(chunk: Uint8Array): Generator<string> {
    let from = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      this.#hold(chunk.subarray(from, end))
      const line = this.unfinished
      this.#parts = []
      this.#heldBytes = 0
      from = end + 1
      yield line.endsWith('\r') ? line.slice(0, -1) : line
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from))
  }

  #hold(part: Uint8Array): void {
    this.#heldBytes += part.length
    if (this.#heldBytes > this.#maxBytes) throw new RangeError(`a line longer than ${this.#maxBytes} bytes`)
    this.#parts.push(part)
  }
}
