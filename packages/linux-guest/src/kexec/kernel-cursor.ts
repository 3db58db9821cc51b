import type { KernelMemory } from '../kernel-memory.ts'
import { Refusal } from '../refusal.ts'

const PIECE_BYTES = 4096

/** Reads kernel memory byte after byte, from an address on and never further than `maxBytes`. */
export class KernelCursor {
  readonly #memory: KernelMemory
  readonly #what: string
  readonly #end: bigint
  #piece: Uint8Array = new Uint8Array(0)
  #at = 0
  #next: bigint

  /** @param options.what names it in a Refusal. */
  constructor(memory: KernelMemory, start: bigint, options: { maxBytes: number; what: string }) {
    this.#memory = memory
    this.#next = start
    this.#end = start + BigInt(options.maxBytes)
    this.#what = options.what
  }

  /** Throws Refusal where memory cannot be read, or the limit is reached. */
  u8(): number {
    if (this.#at === this.#piece.length) this.#load()
    return this.#piece[this.#at++] as number
  }

  #load(): void {
    const inPiece = Number(this.#next % BigInt(PIECE_BYTES))
    const size = Math.min(PIECE_BYTES - inPiece, Number(this.#end - this.#next))
    if (size <= 0) throw new Refusal(`its ${this.#what} is longer than any kernel's`)
    const piece = this.#memory.read(this.#next, size)
    if (!piece) throw new Refusal(`its ${this.#what} at 0x${this.#next.toString(16)} is not in readable guest RAM`)
    this.#piece = piece
    this.#at = 0
    this.#next += BigInt(size)
  }
}
