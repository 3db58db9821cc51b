/** Types: who sends them ('b': both) and the least bytes they have. */
const TYPES: Readonly<Record<number, readonly ['g' | 'h' | 'b', number]>> = {
  0: ['b', 8],
  1: ['g', 16],
  2: ['h', 16],
  3: ['g', 32],
  4: ['h', 16],
  5: ['g', 48],
  6: ['h', 16],
  7: ['g', 16],
  8: ['h', 16],
  9: ['g', 8],
  10: ['h', 16],
  11: ['g', 16],
  12: ['h', 16],
  13: ['h', 24],
  14: ['g', 24],
}

/**
 * The rules of the README in their plainest form: sets of frame numbers, messages read byte by byte. Shares no code with
 * the package. `ram` as [start, count].
 */
export class PlainDmModel {
  out = new Set<number>()
  added = new Set<number>()
  open: { start: number; count: number }[] = []
  knowsOut = true
  knowsAdded = true
  sawStart = false
  #requests = 0
  #phase: 'untouched' | 'negotiating' | 'open' | 'foreign' = 'untouched'
  #offer: string | undefined
  readonly #ram: readonly (readonly [number, number])[]
  readonly #ramFrames: number

  constructor(ram: readonly (readonly [number, number])[]) {
    this.#ram = ram
    this.#ramFrames = ram.reduce((sum, [, count]) => sum + count, 0)
  }

  take(from: 'guest' | 'host', bytes: Uint8Array): void {
    const u16 = (at: number) => (bytes[at] ?? 0) + (bytes[at + 1] ?? 0) * 256
    const u32 = (at: number) => u16(at) + u16(at + 2) * 65_536
    const type = bytes.length < 8 ? 99 : u16(0)
    const [sender, least] = TYPES[type] ?? ['b', Number.MAX_SAFE_INTEGER]
    const size = u16(2)
    const countAt = type === 7 ? u32(12) >>> 1 : u32(12)
    const rangesFrom = type === 14 ? 24 : 16
    const hasRanges = type === 7 || type === 8 || type === 14
    const bad =
      (sender !== 'b' && sender !== from[0]) ||
      size > bytes.length ||
      size < least ||
      (hasRanges && countAt > Math.floor((size - rangesFrom) / 8))
    if (bad) {
      if (this.#phase === 'untouched') this.#phase = 'open'
      if (type === 7) this.knowsOut = false
      if (type < 1 || type > 14 || type === 1 || type === 8) this.#forgetOut()
      if (type < 1 || type > 14 || type === 1 || type === 10 || type === 11 || type === 14) this.knowsAdded = false
      return
    }
    const range = (at: number) => ({
      start: u32(at) + (bytes[at + 4] ?? 0) * 2 ** 32,
      count: u16(at + 5) + (bytes[at + 7] ?? 0) * 65_536,
    })
    if (type === 1) return this.#offerVersion(`${u16(10)}.${u16(8)}`)
    if (type === 2) return this.#agree((u32(8) & 1) === 1)
    if (this.#phase === 'negotiating' && this.#offer !== undefined && !known(this.#offer)) this.#foreign()
    if (this.#phase === 'foreign') return
    if (this.#phase === 'untouched') this.#phase = 'open'
    const ranges = hasRanges ? Array.from({ length: countAt }, (_, i) => range(rangesFrom + 8 * i)) : []
    const frames = ranges.reduce((sum, { count }) => sum + count, 0)
    switch (type) {
      case 0:
        this.#forgetOut()
        this.knowsAdded = false
        return
      case 6:
        this.#requests++
        return
      case 7:
        if (this.#requests === 0 || frames > this.#ramFrames) this.knowsOut = false
        else for (const pfn of this.#inRam(ranges)) this.out.add(pfn)
        if (this.#requests > 0 && (u32(12) & 1) === 0) this.#requests--
        return
      case 8:
        for (const pfn of this.#inRam(ranges)) this.out.delete(pfn)
        return
      case 10:
        for (const pfn of this.#inRam([range(8)])) this.out.delete(pfn)
        if (this.open.length < 64) this.open.push(range(8))
        else this.knowsAdded = false
        return
      case 11: {
        const asked = this.open.shift()
        if (!asked) this.knowsAdded = false
        else for (const pfn of this.#inRam([{ ...asked, count: Math.min(asked.count, u32(8)) }])) this.added.add(pfn)
        return
      }
      case 14:
        this.knowsAdded = false
    }
  }

  /** Frames of guest RAM that an unanswered request names, ascending. */
  perhapsAdded(): number[] {
    return [...new Set(this.#inRam(this.open))].sort((a, b) => a - b)
  }

  *#inRam(ranges: readonly { start: number; count: number }[]): Generator<number> {
    for (const { start, count } of ranges) {
      for (const [first, frames] of this.#ram) {
        for (let pfn = Math.max(first, start); pfn < Math.min(first + frames, start + count); pfn++) yield pfn
      }
    }
  }

  #offerVersion(version: string): void {
    if (this.#phase === 'untouched') this.sawStart = true
    else if (this.#phase !== 'negotiating') {
      this.#forgetOut()
      this.knowsAdded = false
    }
    this.#requests = 0
    this.#phase = 'negotiating'
    this.#offer = version
  }

  #agree(isAccepted: boolean): void {
    const version = this.#offer
    this.#offer = undefined
    if (this.#phase === 'untouched') this.#phase = 'open'
    if (version === undefined || !isAccepted) return
    if (known(version)) this.#phase = 'open'
    else this.#foreign()
  }

  #foreign(): void {
    this.#phase = 'foreign'
    this.#forgetOut()
    this.knowsAdded = false
  }

  #forgetOut(): void {
    this.out = new Set()
    this.knowsOut = false
  }
}

function known(version: string): boolean {
  return version === '0.3' || version === '1.0' || version === '2.0'
}
