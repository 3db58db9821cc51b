import type { SyntheticPage } from './synthetic-page.ts'
import { seeded } from '../seeded.ts'

/** Neighbouring frames of one use; where `page` has an order, blocks or compound pages of it, one after the other. */
export interface BusyRun {
  /** First frame, from the start of the section. */
  readonly start: number
  readonly count: number
  readonly page: SyntheticPage
  /** Whether the host backs none of these frames. */
  readonly isHole: boolean
}

/** Linux moves memory between uses in blocks of this many frames (mm/page_alloc.c, pageblock_nr_pages). */
const BLOCK_FRAMES = 512

interface Mix {
  readonly page: SyntheticPage
  /** How often, of all in the same list. */
  readonly weight: number
  /** Longest run, in pages of the order. */
  readonly most: number
}

const mixes: readonly Mix[] = [
  { page: { use: 'anon' }, weight: 24, most: 64 },
  { page: { use: 'anon', order: 4 }, weight: 4, most: 4 },
  { page: { use: 'cache' }, weight: 20, most: 32 },
  { page: { use: 'cache', order: 2 }, weight: 10, most: 8 },
  { page: { use: 'cache', order: 5 }, weight: 4, most: 3 },
  { page: { use: 'cache', private: true }, weight: 4, most: 8 },
  { page: { use: 'slab' }, weight: 6, most: 4 },
  { page: { use: 'slab', order: 3 }, weight: 8, most: 4 },
  { page: { use: 'table' }, weight: 6, most: 8 },
  { page: { use: 'inUse' }, weight: 6, most: 16 },
  { page: { use: 'offline' }, weight: 2, most: 16 },
  { page: { use: 'free' }, weight: 6, most: 2 },
  { page: { use: 'free', order: 1 }, weight: 4, most: 1 },
  { page: { use: 'free', order: 3 }, weight: 3, most: 1 },
  { page: { use: 'free', order: 6 }, weight: 1, most: 1 },
]
const totalWeight = mixes.reduce((sum, { weight }) => sum + weight, 0)

/**
 * What a section of a guest that has run for a while is used for, the same for the same `seed`: huge pages, free and
 * ballooned blocks, and blocks in which memory of all kinds lies in runs of 1 to 512 frames. Ballooned memory is a hole, and
 * half of the large free blocks, which nothing has touched.
 */
export function* busySection(seed: number, sectionFrames: number): Generator<BusyRun> {
  const random = seeded(seed)
  for (let start = 0; start < sectionFrames; start += BLOCK_FRAMES) {
    const dice = random()
    const whole = (page: SyntheticPage, isHole: boolean): BusyRun => ({ start, count: BLOCK_FRAMES, page, isHole })
    if (dice < 0.25) yield whole({ use: 'anon', order: 9 }, false)
    else if (dice < 0.28) yield whole({ use: 'hugetlb', order: 9 }, false)
    else if (dice < 0.42) yield whole({ use: 'free', order: 9 }, random() < 0.5)
    else if (dice < 0.52) yield whole({ use: 'offline' }, true)
    else yield* mixedBlock(start, random)
  }
}

function* mixedBlock(start: number, random: () => number): Generator<BusyRun> {
  const end = start + BLOCK_FRAMES
  for (let at = start; at < end; ) {
    const mix = pick(random() * totalWeight)
    const order = Math.min(mix.page.order ?? 0, 31 - Math.clz32(at & -at), 31 - Math.clz32(end - at))
    const pages = 1 + Math.floor(random() * mix.most)
    const count = Math.min(pages, Math.floor((end - at) / 2 ** order)) * 2 ** order
    const page = order > 0 ? { ...mix.page, order } : { ...mix.page, order: 0 }
    yield { start: at, count, page, isHole: page.use === 'offline' }
    at += count
  }
}

function pick(at: number): Mix {
  let left = at
  for (const mix of mixes) {
    left -= mix.weight
    if (left < 0) return mix
  }
  return mixes[0] as Mix
}
