/** Frames of one chunk of a `PfnSet`, numbered from 0. */
export const CHUNK_FRAMES = 32_768

const WORD_BITS = 32
const CHUNK_WORDS = CHUNK_FRAMES / WORD_BITS

/** With more borders than this a chunk is kept as bits: half of what those take. */
const MAX_BORDERS = 1024

/**
 * Some of 32768 neighbouring frames. As long as runs are added in ascending order, and there are few, only their borders are
 * kept, two bytes each; else one bit a frame.
 */
export class FrameChunk {
  /** Frames in it. */
  count = 0
  /** Undefined once there are bits. First frame and end of each run, ascending; runs do not touch. */
  #borders: Uint16Array | undefined = new Uint16Array(8)
  #length = 0
  #words: Uint32Array | undefined
  /** Where the last search among the borders ended: neighbours are asked for in turns. */
  #hint = 0

  has(frame: number): boolean {
    if (this.#borders) return this.#bordersUpTo(this.#borders, frame) % 2 === 1
    return (((this.#words as Uint32Array)[frame >>> 5] as number) & (1 << (frame & 31))) !== 0
  }

  /** First frame at or after `frame` whose membership is `wanted`, or `CHUNK_FRAMES`. */
  next(frame: number, wanted: boolean): number {
    if (!this.#borders) return nextBit(this.#words as Uint32Array, frame, wanted)
    const before = this.#bordersUpTo(this.#borders, frame)
    if ((before % 2 === 1) === wanted) return frame
    return before < this.#length ? (this.#borders[before] as number) : CHUNK_FRAMES
  }

  /** Adds frames [from, to). */
  add(from: number, to: number): void {
    if (this.#borders && this.#append(this.#borders, from, to)) this.count += to - from
    else this.count += setBits(this.#toWords(), from, to)
  }

  /** Deletes frames [from, to). */
  delete(from: number, to: number): void {
    this.count -= clearBits(this.#toWords(), from, to)
  }

  /** Adds a run after all others; false where it is not, or where there are too many. */
  #append(borders: Uint16Array, from: number, to: number): boolean {
    const last = this.#length - 1
    const end = last < 0 ? -1 : (borders[last] as number)
    if (from < end) return false
    if (from === end) {
      borders[last] = to
      return true
    }
    let room = borders
    if (this.#length === borders.length) {
      if (this.#length === MAX_BORDERS) return false
      room = new Uint16Array(Math.min(borders.length * 4, MAX_BORDERS))
      room.set(borders)
      this.#borders = room
    }
    room[this.#length] = from
    room[this.#length + 1] = to
    this.#length += 2
    return true
  }

  /** How many borders are at or before `frame`. */
  #bordersUpTo(borders: Uint16Array, frame: number): number {
    let low = 0
    let high = this.#length
    const hint = this.#hint
    if (hint === 0 || (borders[hint - 1] as number) <= frame) {
      // At the hint, or a run further, most often.
      low = hint
      for (let step = 0; step < 2 && low < high && (borders[low] as number) <= frame; step++) low++
      if (low === high || (borders[low] as number) > frame) high = low
    }
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((borders[middle] as number) <= frame) low = middle + 1
      else high = middle
    }
    this.#hint = low
    return low
  }

  #toWords(): Uint32Array {
    const borders = this.#borders
    if (!borders) return this.#words as Uint32Array
    const words = new Uint32Array(CHUNK_WORDS)
    for (let i = 0; i < this.#length; i += 2) setBits(words, borders[i] as number, borders[i + 1] as number)
    this.#borders = undefined
    this.#words = words
    return words
  }
}

/** First bit at or after `from` that is `wanted`, or `CHUNK_FRAMES`. */
function nextBit(words: Uint32Array, from: number, wanted: boolean): number {
  const flip = wanted ? 0 : -1
  let index = from >>> 5
  let rest = (((words[index] as number) ^ flip) >>> (from & 31)) << (from & 31)
  while (rest === 0) {
    index++
    if (index === CHUNK_WORDS) return CHUNK_FRAMES
    rest = (words[index] as number) ^ flip
  }
  return index * WORD_BITS + (31 - Math.clz32(rest & -rest))
}

/** Sets bits [from, to); returns how many were not set. */
function setBits(words: Uint32Array, from: number, to: number): number {
  let change = 0
  for (let bit = from; bit < to; ) {
    const mask = maskOf(bit, to)
    const before = words[bit >>> 5] as number
    words[bit >>> 5] = before | mask
    change += countBits(mask & ~before)
    bit = (bit | 31) + 1
  }
  return change
}

/** Clears bits [from, to); returns how many were set. */
function clearBits(words: Uint32Array, from: number, to: number): number {
  let change = 0
  for (let bit = from; bit < to; ) {
    const mask = maskOf(bit, to)
    const before = words[bit >>> 5] as number
    words[bit >>> 5] = before & ~mask
    change += countBits(mask & before)
    bit = (bit | 31) + 1
  }
  return change
}

/** Bits [from, to) as far as they are in the word of `from`. */
function maskOf(from: number, to: number): number {
  const below = (1 << (from & 31)) - 1
  const isCut = to >>> 5 === from >>> 5
  return isCut ? ((1 << (to & 31)) - 1) & ~below : ~below
}

function countBits(word: number): number {
  let v = word - ((word >>> 1) & 0x5555_5555)
  v = (v & 0x3333_3333) + ((v >>> 2) & 0x3333_3333)
  return Math.imul((v + (v >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}
