import { openCodec, type PageCodec } from '@ullage/native'
import type { GuestMemory } from '@ullage/offline-query'
import { PfnSet } from '@ullage/pages'
import { pageFlags } from '@ullage/vmcore'
import { expect, test } from 'vitest'
import { BatchCompressor } from './compress-batch.ts'
import type { CompressMemory } from './compress-worker.ts'
import { ReadyStore } from './page-store.ts'
import { writePages } from './write-pages.ts'

const PAGE = 4096
/** Frame 0x12 and on, from the second batch on others; frame 3 is zeros by the plan. */
const plan = { write: PfnSet.of([{ start: 0x12, count: 600 }]), zero: PfnSet.of([{ start: 3, count: 1 }]) }

const memory: GuestMemory = {
  frameBytes: PAGE,
  extents: [{ start: 0, count: 1024, name: 'ram' }],
  notDumped: [],
  read({ start, count }, into) {
    for (let i = 0; i < count; i++) into.fill(((start + i) % 251) + 1, i * PAGE, (i + 1) * PAGE)
  },
}

/** Writes the plan with `codec`, in this thread. Resolves to the number of pages. */
async function write(codec: PageCodec, comparePages: boolean): Promise<number> {
  let pages = 0
  let compressors: BatchCompressor[] = []
  await writePages({
    memory,
    plan,
    pool: {
      jobs: 1,
      use(given: CompressMemory) {
        compressors = Array.from(
          { length: given.batches },
          (_, index) => new BatchCompressor(given, index, given.settings, codec),
        )
      },
      run: async ({ batch, count, at }) => {
        const compressor = compressors[batch as number] as BatchCompressor
        return { id: 0, unread: false, ...compressor.compress(count, at) }
      },
    },
    settings: { pageBytes: PAGE, shareZeroPages: false, compressedFlag: pageFlags.zstd, comparePages },
    maxCompressedBytes: codec.maxCompressedBytes(PAGE),
    store: new ReadyStore(),
    copyBytes: 0,
    startWriter: async () => ({
      append: async ({ count }) => void (pages += count),
      finish: async () => ({ bytes: 0, pages, zeroPages: 0, sharedPages: 0 }),
    }),
  })
  return pages
}

/** A codec that does `harm` to what it made of the page of `pfn`. */
function harming(
  codec: PageCodec,
  pfn: number,
  harm: (output: Uint8Array, at: number, size: number) => number,
): PageCodec {
  return {
    ...codec,
    maxCompressedBytes: (bytes) => codec.maxCompressedBytes(bytes),
    decompress: (...call) => codec.decompress(...call),
    compress(source, at, length, output, outputAt) {
      const size = codec.compress(source, at, length, output, outputAt)
      return source[at] === (pfn % 251) + 1 ? harm(output, outputAt, size) : size
    },
    [Symbol.dispose]: () => undefined,
  }
}

const harms = {
  'is one byte short': (_: Uint8Array, __: number, size: number) => size - 1,
  'is the page of another frame': (output: Uint8Array, at: number, size: number) => {
    using zstd = openCodec('zstd')
    const other = Buffer.alloc(zstd.maxCompressedBytes(PAGE))
    const otherSize = zstd.compress(Buffer.alloc(PAGE, 0xfe), 0, PAGE, other, 0)
    expect(otherSize).toBe(size)
    output.set(other.subarray(0, size), at)
    return size
  },
  'is no zstd at all': (output: Uint8Array, at: number, size: number) => {
    output.fill(0, at, at + size)
    return size
  },
}

test.each(Object.entries(harms))('a compressed page that %s ends the dump, and is named', async (_, harm) => {
  using zstd = openCodec('zstd')
  for (const pfn of [0x12, 0x12 + 140]) {
    const codec = harming(zstd, pfn, harm)
    await expect(write(codec, true)).rejects.toMatchObject({
      code: 'VERIFY_FAILED',
      message: expect.stringContaining(`pfn 0x${pfn.toString(16)} `),
    })
    // Nobody compares where nothing is taken away before it is read back.
    expect(await write(codec, false)).toBe(601)
  }
})

test('pages that come out as they went in are written', async () => {
  using zstd = openCodec('zstd')
  expect(await write(zstd, true)).toBe(601)
})
