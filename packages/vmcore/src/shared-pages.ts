import { asBuffer } from './zero-page.ts'

/** Pages that are remembered, at most and at least. */
const MAX_SLOTS = 1 << 19
const MIN_SLOTS = 1 << 10
/** Prints come to the place of another seldom enough with so many slots a page. */
const SLOTS_PER_PAGE = 2
/** Words of a slot, which lie in one cache line: print, size, position as two halves. */
const SLOT_WORDS = 4
const HALF = 2 ** 32

/** Reads what was written before: fills `into` with the bytes of the file from `position` on. */
export type ReadBack = (into: Uint8Array, position: number) => void

/**
 * Finds stored pages with the very bytes of a new one, so that both can stand in the file once. A print, which whoever
 * compressed the page makes of its content, leads to a page that may be equal; all bytes are then compared, so that prints
 * need not be good and a guest that makes them collide only keeps pages from being shared. Remembers up to 2^19 prints, in
 * up to 8 MiB, each until another comes to its place.
 */
export class SharedPages {
  readonly #readBack: ReadBack
  readonly #slots: Uint32Array
  /** Of a print: a power of two of slots, so that its lowest bits are its place. */
  readonly #mask: number
  readonly #stored: Buffer

  /** `maxBytes`: the most that a stored page has. `pages`: about how many there will be, so that few take little memory. */
  constructor(readBack: ReadBack, { maxBytes, pages }: { maxBytes: number; pages: number }) {
    let slots = MIN_SLOTS
    while (slots < MAX_SLOTS && slots < pages * SLOTS_PER_PAGE) slots *= 2
    this.#readBack = readBack
    this.#slots = new Uint32Array(slots * SLOT_WORDS)
    this.#mask = slots - 1
    this.#stored = Buffer.alloc(maxBytes)
  }

  /**
   * Where a page equal to payload[at, at + size) stands in the file; undefined when none is known. What the file has from
   * `start` on is not written yet: it stands in `payload`, from its first byte on.
   */
  find(print: number, payload: Buffer, at: number, size: number, start: number): number | undefined {
    const slots = this.#slots
    const slot = (print & this.#mask) * SLOT_WORDS
    if (slots[slot] !== print || slots[slot + 1] !== size) return undefined
    const position = (slots[slot + 2] as number) + (slots[slot + 3] as number) * HALF
    if (position >= start) {
      const other = position - start
      return payload.compare(payload, other, other + size, at, at + size) === 0 ? position : undefined
    }
    this.#readBack(this.#stored.subarray(0, size), position)
    return payload.compare(this.#stored, 0, size, at, at + size) === 0 ? position : undefined
  }

  /** Remembers a page of `size` bytes, at least one, that stands, or will stand, at `position`. */
  add(print: number, size: number, position: number): void {
    const slot = (print & this.#mask) * SLOT_WORDS
    this.#slots[slot] = print
    this.#slots[slot + 1] = size
    this.#slots[slot + 2] = position % HALF
    this.#slots[slot + 3] = Math.floor(position / HALF)
  }
}

/** What a batch has left once pages that stand in the file already are taken out of it. */
export interface SharedBatch {
  /** Position in the file of each page of `sizes`; 0 for one of size 0. */
  readonly positions: Float64Array
  /** Bytes at the start of the payload that are to be written. */
  readonly bytes: number
  /** Pages that stand elsewhere. */
  readonly shared: number
}

/** Places the pages of a batch that is to stand at `start`; with `pages`, moves payloads together over those found there. */
export function placePages(
  batch: { count: number; sizes: Uint32Array; prints?: Uint32Array | undefined; payload: Uint8Array },
  start: number,
  pages: SharedPages | undefined,
): SharedBatch {
  const { count, sizes, prints } = batch
  const payload = asBuffer(batch.payload)
  const positions = new Float64Array(count)
  let shared = 0
  let from = 0
  let to = 0
  for (let i = 0; i < count; i++) {
    const size = sizes[i] as number
    if (size === 0) continue
    if (pages && prints) {
      const print = prints[i] as number
      const found = pages.find(print, payload, from, size, start)
      if (found !== undefined) {
        positions[i] = found
        from += size
        shared++
        continue
      }
      pages.add(print, size, start + to)
    }
    if (to !== from) payload.copyWithin(to, from, from + size)
    positions[i] = start + to
    from += size
    to += size
  }
  return { positions, bytes: to, shared }
}
