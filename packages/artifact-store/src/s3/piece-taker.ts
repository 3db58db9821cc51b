import type { Readable } from 'node:stream'

/**
 * Takes a body of an answer as fast as it comes, whether it is read or not, so that its connection is soon free again. A body
 * of which nothing came for `timeoutMs`, and one of more than `mostBytes`, is cut off. Disposing it ends the taking.
 */
export class PieceTaker implements Disposable {
  readonly #body: Readable
  readonly #chunks: Uint8Array[] = []
  #taken = 0
  #isOver = false
  #wake: (() => void) | undefined

  constructor(body: Readable, { mostBytes, timeoutMs }: { mostBytes: number; timeoutMs: number }) {
    this.#body = body
    const overdue = setTimeout(() => body.destroy(), timeoutMs)
    body.on('data', (chunk: Uint8Array) => {
      overdue.refresh()
      this.#chunks.push(chunk)
      this.#taken += chunk.length
      if (this.#taken > mostBytes) body.destroy()
      this.#wake?.()
    })
    // What goes wrong is an end that comes too early.
    body.on('error', () => undefined)
    body.once('close', () => {
      clearTimeout(overdue)
      this.#isOver = true
      this.#wake?.()
    })
  }

  /** The next bytes; undefined when no more come. Throws the reason of `signal`. */
  async next(signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    for (;;) {
      signal?.throwIfAborted()
      const chunk = this.#chunks.shift()
      if (chunk || this.#isOver) return chunk
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      signal?.addEventListener('abort', resolve as () => void, { once: true })
      await promise
      signal?.removeEventListener('abort', resolve as () => void)
    }
  }

  [Symbol.dispose](): void {
    this.#chunks.length = 0
    this.#body.destroy()
  }
}
