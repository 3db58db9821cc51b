import type { StructPage } from '../src/struct-page.ts'

/** Numbers in [0, 1). */
export type Random = () => number

/**
 * Struct pages as no kernel need have written them, in runs of alike ones: every word that a class follows from takes the
 * values that mean something, some that do not, and is mixed with any other. Half of what can be a block or a compound page
 * is one, as far as its members have not been changed.
 */
export function randomStructPages(page: StructPage, count: number, random: Random): Int32Array {
  const stride = page.bytes >>> 2
  const words = new Int32Array(count * stride)
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
  const flagBits = [page.lru, page.privateBit, page.swapcache, page.swapbacked, page.slab, page.head, page.hwpoison]
  const types = [page.buddy, page.offline, page.unaccepted].map(({ value }) => value << page.typeShift)
  const hugetlb = page.hugetlb.kind === 'type' ? page.hugetlb.value << page.typeShift : -3

  const flags = (word: number): number => {
    let value = pick([0, 0, 0x4000_0000, 0xc000_0000 | 0])
    for (const bit of flagBits) if (bit.word === word && random() < 0.2) value |= bit.mask
    return random() < 0.02 ? -1 : value
  }
  const write = (at: number): void => {
    const w = at * stride
    for (let i = 0; i < stride; i++) words[w + i] = random() < 0.8 ? 0 : Math.floor(random() * 2 ** 32)
    words[w + page.flags] = flags(page.flags)
    words[w + page.flags + 1] = random() < 0.05 ? -1 : flags(page.flags + 1)
    if (page.compoundHead !== undefined) words[w + page.compoundHead] = pick([0, 0, 0x1230, 0x1231, 1, -1])
    words[w + page.mapping] = pick([0, 0, 0x40, 0x41, 1, -1])
    words[w + page.private] = pick([0, 1, 2, 3, 5, 9, 10, 11, 20, 31, -1])
    words[w + page.private + 1] = random() < 0.9 ? 0 : 1
    words[w + page.mapcount] = pick([-1, -1, -1, 0, 7, 0x7fff_ffff, -2, ...types, ...types, hugetlb, types[1] ?? 0 | 5])
    words[w + page.refcount] = pick([0, 0, 1, 2, -1])
  }
  /** A block or a compound page from `at` on, of which some pages are then something else. */
  const writeBlock = (at: number, order: number): void => {
    const frames = Math.min(2 ** order, count - at)
    const isFree = random() < 0.4
    const poison = random() < 0.1 ? page.hwpoison.mask : 0
    for (let i = 0; i < frames; i++) {
      const w = (at + i) * stride
      words.fill(0, w, w + stride)
      words[w + page.mapcount] = -1
      if (isFree || page.compoundHead === undefined) continue
      if (i > 0) words[w + page.compoundHead] = 0x5671
      words[w + page.mapping] = i === 0 ? pick([0, 1, 0x40]) : 0x400
    }
    const w = at * stride
    words[w + page.flags] =
      poison | pick([0, page.lru.mask, page.swapcache.mask | page.swapbacked.mask, page.slab.mask])
    if (isFree) {
      words[w + page.mapcount] = pick([types[0], types[2]]) ?? -1
      words[w + page.private] = order
      return
    }
    words[w + page.head.word] = (words[w + page.head.word] as number) | page.head.mask
    if (frames < 2) return
    words[w + stride + page.order.word] = order << page.order.shift
    if (random() < 0.3) markHugetlb(page, words, w)
  }
  for (let at = 0; at < count; ) {
    if (random() < 0.5) {
      const order = Math.floor(random() * 10)
      const isAligned = random() < 0.8
      const start = isAligned ? Math.ceil(at / 2 ** order) * 2 ** order : at
      while (at < Math.min(start, count)) write(at++)
      if (at >= count) break
      writeBlock(at, order)
      at = Math.min(count, at + 2 ** order)
      for (let changes = Math.floor(random() * 3); changes > 0; changes--) {
        write(at - 1 - Math.floor(random() * Math.min(at, 2 ** order)))
      }
      continue
    }
    write(at)
    const alike = Math.min(count - at, Math.floor(2 ** (random() * 8)))
    for (let i = 1; i < alike; i++) words.copyWithin((at + i) * stride, at * stride, (at + 1) * stride)
    at += alike
  }
  return words
}

function markHugetlb({ hugetlb, bytes, mapcount, typeShift }: StructPage, words: Int32Array, w: number): void {
  const second = w + (bytes >>> 2)
  if (hugetlb.kind === 'type') words[w + mapcount] = hugetlb.value << typeShift
  if (hugetlb.kind === 'flag') words[second + hugetlb.word] = (words[second + hugetlb.word] as number) | hugetlb.mask
  if (hugetlb.kind === 'dtor') {
    words[second + hugetlb.word] = (words[second + hugetlb.word] as number) | (hugetlb.value << hugetlb.shift)
  }
}
