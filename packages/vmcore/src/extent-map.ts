/** A stretch of an address space and where it stands in a file. All three are bytes. */
export interface Extent {
  readonly start: number
  readonly length: number
  readonly position: number
}

/** What an ExtentMap knows, in memory that threads share. */
export interface ExtentArrays {
  readonly starts: Float64Array<SharedArrayBuffer>
  readonly lengths: Float64Array<SharedArrayBuffer>
  readonly positions: Float64Array<SharedArrayBuffer>
}

/**
 * Which stretch of a file holds which stretch of an address space: records of a flattened file, segments of an ELF core.
 * Kept as flat arrays, 24 bytes an extent, because a dump may have millions.
 */
export class ExtentMap {
  readonly #starts: ExtentArrays['starts']
  readonly #lengths: ExtentArrays['lengths']
  readonly #positions: ExtentArrays['positions']

  private constructor({ starts, lengths, positions }: ExtentArrays) {
    this.#starts = starts
    this.#lengths = lengths
    this.#positions = positions
  }

  /** The same map in another thread. */
  static fromArrays(arrays: ExtentArrays): ExtentMap {
    return new ExtentMap(arrays)
  }

  arrays(): ExtentArrays {
    return { starts: this.#starts, lengths: this.#lengths, positions: this.#positions }
  }

  get count(): number {
    return this.#starts.length
  }

  /** First address after the last extent; 0 when there is none. */
  get end(): number {
    const last = this.count - 1
    return last < 0 ? 0 : (this.#starts[last] as number) + (this.#lengths[last] as number)
  }

  at(index: number): Extent {
    return {
      start: this.#starts[index] as number,
      length: this.#lengths[index] as number,
      position: this.#positions[index] as number,
    }
  }

  /** Index of the extent that holds `address`, or of the first one after it; `count` when there is none. */
  find(address: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#starts[middle] as number) + (this.#lengths[middle] as number) <= address) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Orders extents and makes them disjoint; where several claim an address, the one that `wins` says has it. */
  static of(extents: ExtentList, wins: 'first' | 'last'): ExtentMap {
    const arrays = extents.arrays()
    const order = orderOf(arrays.starts)
    if (!order && !overlaps(arrays.starts, arrays.lengths)) return new ExtentMap(arrays)
    return settle(arrays, order ?? Uint32Array.from(arrays.starts.keys()), wins)
  }
}

/** Extents as they are found, growing. */
export class ExtentList {
  #values = new Float64Array(3 * 64)
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Adds an extent, joined to the one before where it continues it on both sides. Empty ones are dropped. */
  add(start: number, length: number, position: number): void {
    if (length === 0) return
    const values = this.#values
    const last = 3 * (this.#count - 1)
    if (
      this.#count > 0 &&
      (values[last] as number) + (values[last + 1] as number) === start &&
      (values[last + 2] as number) + (values[last + 1] as number) === position
    ) {
      values[last + 1] = (values[last + 1] as number) + length
      return
    }
    if (3 * this.#count === values.length) {
      this.#values = new Float64Array(values.length * 2)
      this.#values.set(values)
    }
    this.#values.set([start, length, position], 3 * this.#count)
    this.#count++
  }

  *[Symbol.iterator](): Generator<Extent> {
    for (let i = 0; i < 3 * this.#count; i += 3) {
      const values = this.#values
      yield { start: values[i] as number, length: values[i + 1] as number, position: values[i + 2] as number }
    }
  }

  arrays(): ExtentArrays {
    const pick = (field: number): Float64Array<SharedArrayBuffer> => {
      const picked = new Float64Array(new SharedArrayBuffer(8 * this.#count))
      for (let i = 0; i < this.#count; i++) picked[i] = this.#values[3 * i + field] as number
      return picked
    }
    return { starts: pick(0), lengths: pick(1), positions: pick(2) }
  }
}

/** Indices by ascending start, earlier ones first; undefined when they are in order already. */
function orderOf(starts: Float64Array): Uint32Array | undefined {
  let ordered = true
  for (let i = 1; i < starts.length && ordered; i++) ordered = (starts[i - 1] as number) <= (starts[i] as number)
  if (ordered) return undefined
  return Uint32Array.from(starts.keys()).sort((a, b) => (starts[a] as number) - (starts[b] as number) || a - b)
}

function overlaps(starts: Float64Array, lengths: Float64Array): boolean {
  for (let i = 1; i < starts.length; i++) {
    if ((starts[i - 1] as number) + (lengths[i - 1] as number) > (starts[i] as number)) return true
  }
  return false
}

/**
 * Sweeps from boundary to boundary with the extents that cover the sweep in a heap, the winner on top: n log n for any
 * input, however many extents claim the same address.
 */
function settle({ starts, lengths, positions }: ExtentArrays, order: Uint32Array, wins: 'first' | 'last'): ExtentMap {
  const endOf = (index: number): number => (starts[index] as number) + (lengths[index] as number)
  const heap = new IndexHeap(wins)
  const settled = new ExtentList()
  let next = 0
  let at = 0
  while (next < order.length || heap.size > 0) {
    if (heap.size === 0) at = Math.max(at, starts[order[next] as number] as number)
    while (next < order.length && (starts[order[next] as number] as number) <= at) heap.push(order[next++] as number)
    const winner = heap.top
    if (endOf(winner) <= at) {
      heap.pop()
      continue
    }
    const boundary = next < order.length ? (starts[order[next] as number] as number) : Number.POSITIVE_INFINITY
    const end = Math.min(endOf(winner), boundary)
    settled.add(at, end - at, (positions[winner] as number) + at - (starts[winner] as number))
    at = end
  }
  return ExtentMap.fromArrays(settled.arrays())
}

/** A binary heap of indices with the first (lowest) or last (highest) on top. */
class IndexHeap {
  readonly #items: number[] = []
  readonly #sign: number

  constructor(wins: 'first' | 'last') {
    this.#sign = wins === 'first' ? 1 : -1
  }

  get size(): number {
    return this.#items.length
  }

  get top(): number {
    return this.#items[0] as number
  }

  push(item: number): void {
    const items = this.#items
    let at = items.push(item) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#before(at, parent)) break
      this.#swap(at, parent)
      at = parent
    }
  }

  pop(): void {
    const items = this.#items
    const last = items.pop() as number
    if (items.length === 0) return
    items[0] = last
    for (let at = 0; ; ) {
      let best = at
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < items.length && this.#before(child, best)) best = child
      if (best === at) return
      this.#swap(at, best)
      at = best
    }
  }

  #before(a: number, b: number): boolean {
    return ((this.#items[a] as number) - (this.#items[b] as number)) * this.#sign < 0
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a] as number
    this.#items[a] = this.#items[b] as number
    this.#items[b] = item
  }
}
