import { fstatSync } from 'node:fs'
import type { ByteRange } from '@ullage/native'
import { clip } from './data-list.ts'

/** Ranges that are remembered, at most: 1 MiB of them. */
const MAX_RANGES = 1 << 14
/** File systems may give changes within one tick of their clock the same time: older ones are told apart. */
const SETTLED_MS = 1000

/**
 * Where the data of a part of a file is, as `walk` finds it, remembered as long as the file is the same: its size, blocks
 * and times. A walk asks the kernel about every page of a dense file, which takes longer than much of what is made of it.
 *
 * Only for files that nobody has mapped for writing: a page that was allocated before it is written that way changes
 * nothing of these.
 */
export class KnownData {
  readonly #fd: number
  readonly #part: ByteRange
  readonly #walk: (within: ByteRange) => Iterable<ByteRange>
  #known: { readonly stamp: string; readonly ranges: readonly ByteRange[] } | undefined

  constructor(fd: number, part: ByteRange, walk: (within: ByteRange) => Iterable<ByteRange>) {
    this.#fd = fd
    this.#part = part
    this.#walk = walk
  }

  /** Ascending ranges of data inside `within`, a range inside the part. Throws what the walk throws. */
  *ranges(within: ByteRange): Generator<ByteRange> {
    const stamp = stampOf(this.#fd)
    if (this.#known && this.#known.stamp === stamp) {
      yield* clip(this.#known.ranges, within)
      return
    }
    this.#known = undefined
    const isWhole = within.startBytes === this.#part.startBytes && within.endBytes === this.#part.endBytes
    const ranges: ByteRange[] = []
    for (const range of this.#walk(within)) {
      if (isWhole && ranges.length <= MAX_RANGES) ranges.push(range)
      yield range
    }
    if (!isWhole || ranges.length > MAX_RANGES || stamp === undefined || stampOf(this.#fd) !== stamp) return
    this.#known = { stamp, ranges }
  }
}

/** Undefined for a file that has changed just now. */
function stampOf(fd: number): string | undefined {
  const { size, blocks, mtimeNs, ctimeNs } = fstatSync(fd, { bigint: true })
  const changedMs = Number((mtimeNs > ctimeNs ? mtimeNs : ctimeNs) / 1_000_000n)
  const sinceMs = Date.now() - changedMs
  return sinceMs < SETTLED_MS ? undefined : [size, blocks, mtimeNs, ctimeNs].join(' ')
}
