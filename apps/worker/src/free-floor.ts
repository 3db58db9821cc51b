import { freeBytesOf } from './free-bytes-of.ts'

/** The most that is written between two looks, in bytes. */
const LOOK_EVERY_BYTES = 64 << 20
/** The least, in bytes. */
const LOOK_AFTER_BYTES = 1 << 20
/** Between two looks so many dumps may write without passing the floor together. */
const WRITERS = 4

/** A disk that has no more than is to stay free. */
class NoSpaceError extends Error {
  override readonly name = 'NoSpaceError'
  readonly code = 'NO_SPACE'
}

export interface FreeFloorOptions {
  /** A folder that is written to. */
  readonly folder: string
  /** What is to stay free on its file system, in bytes; with 0 nobody looks: a full disk says so itself. */
  readonly keepFreeBytes: number
  /** What is free there, in bytes. */
  readonly freeBytes?: (folder: string) => Promise<number>
}

/**
 * Ends what would leave less free than is to stay free. Counts what its own dump writes, and looks again each 64 MiB, the more
 * often the less is left, at what all others write. Whoever writes never waits for a look: a file system that does not answer
 * keeps no paused guest waiting, and what may still be written by the last answer bounds what is written meanwhile.
 */
export class FreeFloor {
  readonly #folder: string
  readonly #keepFreeBytes: number
  readonly #freeBytes: (folder: string) => Promise<number>
  #freeThen = Number.POSITIVE_INFINITY
  #writtenSince = 0
  #isLooking = false
  #failure: { readonly error: unknown } | undefined

  constructor({ folder, keepFreeBytes, freeBytes = freeBytesOf }: FreeFloorOptions) {
    this.#folder = folder
    this.#keepFreeBytes = keepFreeBytes
    this.#freeBytes = freeBytes
  }

  /** Looks, and throws NO_SPACE unless `bytes` more may be written. To be called while nobody stands still. */
  async require(bytes: number): Promise<void> {
    if (this.#keepFreeBytes === 0) return
    await this.#look()
    if (this.#left < bytes) throw this.#full(`${bytes} bytes are to be written there`)
  }

  /** So many bytes more were written. Throws NO_SPACE once that leaves too little, or what a look failed of. */
  wrote(bytes: number): void {
    if (this.#keepFreeBytes === 0) return
    this.#writtenSince += bytes
    if (this.#failure) throw this.#failure.error
    if (this.#left < 0) throw this.#full(`${this.#writtenSince} bytes were written since`)
    const step = Math.min(LOOK_EVERY_BYTES, Math.max(LOOK_AFTER_BYTES, this.#left / WRITERS))
    if (this.#isLooking || this.#writtenSince < step) return
    this.#look().catch((error: unknown) => {
      this.#failure = { error }
    })
  }

  get #left(): number {
    return this.#freeThen - this.#writtenSince - this.#keepFreeBytes
  }

  async #look(): Promise<void> {
    this.#isLooking = true
    const before = this.#writtenSince
    try {
      this.#freeThen = await this.#freeBytes(this.#folder)
      // What was written while it looked may be in the answer, or not.
      this.#writtenSince -= before
    } finally {
      this.#isLooking = false
    }
  }

  #full(what: string): NoSpaceError {
    const found = `found ${this.#freeThen} free at the last look, and ${what}`
    const message =
      `expected the dump to leave ${this.#keepFreeBytes} bytes free where ${this.#folder} is (ULLAGE_FREE_BYTES), ${found}; ` +
      'nothing was kept: free some space, or ask for a higher level'
    return new NoSpaceError(message)
  }
}
