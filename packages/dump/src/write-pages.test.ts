import type { GuestMemory } from '@ullage/offline-query'
import { PfnSet } from '@ullage/pages'
import type { VmcoreWriter } from '@ullage/vmcore'
import { expect, test } from 'vitest'
import { CompressPool } from './compress-pool.ts'
import { ReadyStore } from './page-store.ts'
import { writePages } from './write-pages.ts'

const PAGE = 4096
/** 64 batches. */
const COUNT = 64 * 256
const plan = { write: PfnSet.of([{ start: 0, count: COUNT }]), zero: PfnSet.of([]) }
const settings = { pageBytes: PAGE, shareZeroPages: false, compressedFlag: 0, comparePages: false }

/** Memory that this thread has to read; `onRead` is told how many frames were read before. */
function memoryOf(onRead: (frames: number) => void): GuestMemory {
  let frames = 0
  return {
    frameBytes: PAGE,
    extents: [{ start: 0, count: COUNT, name: 'ram' }],
    notDumped: [],
    read({ start, count }, into) {
      onRead(frames)
      for (let i = 0; i < count; i++) into.fill((start + i) % 251, i * PAGE, (i + 1) * PAGE)
      frames += count
    },
  }
}

/** A writer that adds up the first byte of every page. */
function summing(told: { pages: number; sum: number }): VmcoreWriter {
  return {
    async append({ count, sizes, payload }) {
      let at = 0
      for (let i = 0; i < count; i++) {
        told.sum += payload[at] as number
        at += sizes[i] as number
      }
      told.pages += count
    },
    finish: async () => ({ pages: told.pages, zeroPages: 0, bytes: 0 }) as never,
  }
}

async function write(options: { memory: GuestMemory; copyBytes: number; signal?: AbortSignal; order: string[] }) {
  const told = { pages: 0, sum: 0 }
  await using pool = new CompressPool({ jobs: 1, codec: undefined })
  const { copied } = await writePages({
    ...options,
    plan,
    pool,
    settings,
    maxCompressedBytes: PAGE,
    store: new ReadyStore(),
    startWriter: async () => {
      options.order.push('writer')
      return summing(told)
    },
    onAllRead: async () => void options.order.push('read'),
  })
  return { ...told, copied }
}

const SUM = Array.from({ length: COUNT }, (_, pfn) => pfn % 251).reduce((a, b) => a + b)

test('pages that fit are copied before anything is written; others are read as they are written', async () => {
  const order: string[] = []
  const memory = memoryOf(() => undefined)
  expect(await write({ memory, copyBytes: COUNT * PAGE, order })).toEqual({
    pages: COUNT,
    sum: SUM,
    copied: COUNT * PAGE,
  })
  expect(order).toEqual(['read', 'writer'])
  order.length = 0
  expect(await write({ memory: memoryOf(() => undefined), copyBytes: COUNT * PAGE - 1, order })).toEqual({
    pages: COUNT,
    sum: SUM,
    copied: 0,
  })
  expect(order).toEqual(['writer', 'read'])
})

test('pages that there is no memory to copy to are read as they are written', async () => {
  const whole = globalThis.SharedArrayBuffer
  globalThis.SharedArrayBuffer = class extends whole {
    constructor(bytes = 0) {
      if (bytes === COUNT * PAGE) throw new RangeError('Array buffer allocation failed')
      super(bytes)
    }
  }
  try {
    const order: string[] = []
    const memory = memoryOf(() => undefined)
    expect(await write({ memory, copyBytes: COUNT * PAGE, order })).toEqual({ pages: COUNT, sum: SUM, copied: 0 })
    expect(order).toEqual(['writer', 'read'])
  } finally {
    globalThis.SharedArrayBuffer = whole
  }
})

test.each([
  ['copied', COUNT * PAGE],
  ['written', 0],
])('a dump that is ended while its pages are %s reads no more of them', async (_, copyBytes) => {
  const abort = new AbortController()
  let seen = 0
  const memory = memoryOf((frames) => {
    seen = frames
    if (frames === 0) setTimeout(() => abort.abort(new Error('enough')), 1)
    const until = performance.now() + 1
    while (performance.now() < until);
  })
  const order: string[] = []
  await expect(write({ memory, copyBytes, signal: abort.signal, order })).rejects.toThrow('enough')
  expect(seen).toBeLessThan(COUNT / 2)
  expect(order).not.toContain('read')
})
