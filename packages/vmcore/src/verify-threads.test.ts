import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { offsetOf } from '@ullage/layout'
import { describe, expect, test } from 'vitest'
import { decompress } from '../test/page-codecs.ts'
import { rearranged } from '../test/rearrange.ts'
import { temporaryFolder } from '../test/temporary-folder.ts'
import { fillByPfn, formats, writeDump } from '../test/write-dump.ts'
import { page_desc } from './kdump-layout.ts'
import { openVmcore } from './open-vmcore.ts'
import type { OpenPageChecker } from './page-checker.ts'
import { MAX_TABLE_PAGES } from './page-table.ts'
import { PageVerifier } from './page-verifier.ts'
import { type VerifyOptions, type VerifySummary, type VerifyThreads, verifyVmcore } from './verify-vmcore.ts'
import { pageFlags } from './vmcore-writer.ts'

const PAGE = 4096
const dir = temporaryFolder()
const module = new URL('../test/check-pages-worker.ts', import.meta.url)
/** Two threads beside this one, for files that would need none. */
const threads: VerifyThreads = { jobs: 3, module, bytesEach: 3 << 20 }

/** Three tables of pages, the last of them not full. Frame 3 * n + 1 compresses, as every third. */
const FIRST = 4
const COUNT = 9000
const stored = [
  { start: FIRST, count: 5000 },
  { start: 70_000, count: COUNT - 5000 },
]
const pfnOf = (index: number): number => (index < 5000 ? FIRST + index : 70_000 - 5000 + index)
const DESCRIPTORS = 2 * PAGE + 2 * 3 * PAGE
const table = { descriptors: DESCRIPTORS, count: COUNT }
const desc = (index: number, field: 'offset' | 'size' | 'flags'): number =>
  DESCRIPTORS + index * page_desc.size + offsetOf(page_desc, field)
const positionOf = (bytes: Buffer, index: number): number => Number(bytes.readBigInt64LE(desc(index, 'offset')))
const sizeOf = (bytes: Buffer, index: number): number => bytes.readUInt32LE(desc(index, 'size'))

/** The compressed page at `index` or the next one after it. */
const compressedFrom = (index: number): number => [0, 1, 2].map((i) => index + i).find((i) => pfnOf(i) % 3 === 1) ?? 0

const codecs = ['zstd', 'lzo', 'snappy', 'zlib'] as const
const made = new Map<string, Promise<Buffer>>()

async function make(compression: (typeof codecs)[number]): Promise<Buffer> {
  const path = join(dir, compression)
  await writeDump(path, { format: 'kdump', compression, present: stored, stored, fill: fillByPfn, batchPages: 1000 })
  return readFileSync(path)
}

/** A good file, to be harmed. */
async function copyOf(compression: (typeof codecs)[number]): Promise<Buffer> {
  const making = made.get(compression) ?? make(compression)
  made.set(compression, making)
  return Buffer.from(await making)
}

/** Path of the same. */
async function pathOf(compression: (typeof codecs)[number]): Promise<string> {
  await copyOf(compression)
  return join(dir, compression)
}

/** Works as two threads would, of which the second is always done first; costs no start of threads. */
const twoAtOnce: OpenPageChecker = (file) => {
  const verifiers = [0, 1].map(() => new PageVerifier(structuredClone(file), decompress))
  let given = 0
  return {
    width: 3,
    async check(pages) {
      const turn = given++ % 2
      if (turn === 0) await setTimeout(5)
      return (verifiers[turn] as PageVerifier).check(pages)
    },
    finish: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
}

async function verify(
  bytes: Uint8Array,
  how: Pick<VerifyOptions, 'threads' | 'checker'> = { checker: twoAtOnce },
): Promise<VerifySummary> {
  const path = join(dir, 'verified')
  writeFileSync(path, bytes)
  await using vmcore = await openVmcore(path, { decompress })
  return await verifyVmcore(vmcore, how)
}

/** Frames whose number leaves `rest` when divided by three. */
const every3rd = (rest: number): number =>
  Array.from({ length: COUNT }, (_, i) => i).filter((i) => pfnOf(i) % 3 === rest).length
const summary = { pages: COUNT, zeroPages: every3rd(0), excludedFrames: 0, trailingBytes: 0 }

test.each(formats)('%s: threads find what one finds', async (format) => {
  const path = join(dir, `same.${format}`)
  await writeDump(path, { format, compression: 'lzo', present: stored, stored, fill: fillByPfn })
  await using vmcore = await openVmcore(path, { decompress })
  const progress: number[] = []
  const found = await verifyVmcore(vmcore, { threads, onProgress: (pages) => progress.push(pages) })
  expect(found).toEqual(await verifyVmcore(vmcore))
  expect(found).toMatchObject({ ...summary, byCompression: { lzo: format === 'elf' ? 0 : every3rd(1) } })
  expect(progress).toEqual([4096, 8192, 9000])
})

/** Where a flipped byte is certain to be told: lzo has no header, and ends with a marker. */
const telling = (bytes: Buffer, index: number, codec: string): number =>
  positionOf(bytes, index) + (codec === 'lzo' ? sizeOf(bytes, index) - 1 : 0)

const places = [0, MAX_TABLE_PAGES - 3, MAX_TABLE_PAGES, 6000, COUNT - 3].map(compressedFrom)

describe.each(codecs)('%s', (codec) => {
  test('a flipped byte is found wherever it is, and the frame named', async () => {
    for (const index of places) {
      const bytes = await copyOf(codec)
      const at = telling(bytes, index, codec)
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at)
      await expect(verify(bytes, index === places.at(-1) ? { threads } : undefined)).rejects.toMatchObject({
        name: 'VmcoreError',
        code: 'CORRUPT',
        message: expect.stringContaining(
          `pfn 0x${pfnOf(index).toString(16)} at offset ${positionOf(bytes, index)} does not decompress (${codec})`,
        ),
      })
    }
  })

  test('pages in any order, those of threads that appended for themselves among them', async () => {
    const indices = Array.from({ length: COUNT }, (_, i) => i)
    const runs = Array.from({ length: Math.ceil(COUNT / 256) }, (_, i) => (i * 7) % Math.ceil(COUNT / 256))
    const appended = runs.flatMap((run) => indices.slice(run * 256, run * 256 + 256))
    for (const order of [appended, indices.toReversed()]) {
      const bytes = rearranged(await copyOf(codec), table, order)
      expect(await verify(bytes)).toMatchObject(summary)
      // Of two bad pages the lower frame is named, though it comes later in the file.
      const [lower, higher] = [compressedFrom(1000), compressedFrom(3500)]
      for (const index of [lower, higher, compressedFrom(7000)]) bytes.writeUInt32LE(PAGE + 1, desc(index, 'size'))
      await expect(verify(bytes)).rejects.toMatchObject({
        message: expect.stringContaining(
          `pfn 0x${pfnOf(lower).toString(16)} at offset ${positionOf(bytes, lower)} has 4097`,
        ),
      })
    }
  })
})

describe('a bad descriptor', () => {
  const harms: readonly (readonly [string, string, (bytes: Buffer, index: number) => void])[] = [
    ['nothing but zeros', 'CORRUPT', (b, i) => b.fill(0, desc(i, 'offset'), desc(i + 1, 'offset'))],
    ['flags', 'UNSUPPORTED', (b, i) => b.writeUInt32LE(0x21, desc(i, 'flags'))],
    ['another codec', 'CORRUPT', (b, i) => b.writeUInt32LE(pageFlags.snappy, desc(i, 'flags'))],
    ['no bytes', 'CORRUPT', (b, i) => b.writeUInt32LE(0, desc(i, 'size'))],
    ['a byte too few', 'CORRUPT', (b, i) => b.writeUInt32LE(sizeOf(b, i) - 1, desc(i, 'size'))],
    ['a byte too many', 'CORRUPT', (b, i) => b.writeUInt32LE(sizeOf(b, i) + 1, desc(i, 'size'))],
    ['an offset before the data', 'CORRUPT', (b, i) => b.writeBigInt64LE(BigInt(DESCRIPTORS), desc(i, 'offset'))],
    ['a negative offset', 'CORRUPT', (b, i) => b.writeBigInt64LE(-1n, desc(i, 'offset'))],
    ['an offset beyond the file', 'TRUNCATED', (b, i) => b.writeBigInt64LE(2n ** 40n, desc(i, 'offset'))],
    ['an offset beyond all numbers', 'CORRUPT', (b, i) => b.writeBigInt64LE(2n ** 62n, desc(i, 'offset'))],
  ]
  test.each(harms)('%s', async (_, code, harm) => {
    for (const index of [compressedFrom(1), compressedFrom(COUNT - 6)]) {
      const bytes = await copyOf('zstd')
      harm(bytes, index)
      await expect(verify(bytes)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(new RegExp(`pfn 0x${pfnOf(index).toString(16)} `)),
      })
    }
  })

  test('of several, in tables of several threads, the lowest frame is named', async () => {
    const bytes = await copyOf('zstd')
    for (const index of [8990, 6000, 4200, 4100]) bytes.writeUInt32LE(0, desc(index, 'size'))
    await expect(verify(bytes)).rejects.toMatchObject({
      message: expect.stringContaining(`pfn 0x${pfnOf(4100).toString(16)} at offset`),
    })
  })
})

describe('pages that several frames share', () => {
  const shared = async (): Promise<Buffer> => {
    const path = join(dir, 'shared')
    // A hundred different pages, ninety times each, all over the file.
    const fill = (pfn: number, page: Uint8Array): void => fillByPfn(3 * (pfn % 100) + 1, page)
    await writeDump(path, { format: 'kdump', compression: 'zlib', present: stored, stored, fill })
    const indices = Array.from({ length: COUNT }, (_, i) => i)
    return rearranged(readFileSync(path), table, indices, true)
  }

  test('are good when the page is', async () => {
    const bytes = await shared()
    expect(new Set(Array.from({ length: COUNT }, (_, i) => positionOf(bytes, i))).size).toBe(100)
    expect(await verify(bytes, { threads })).toMatchObject({
      ...summary,
      zeroPages: 0,
      byCompression: { zlib: COUNT, none: 0 },
    })
  })

  test('are bad when the page is, and the first of them is named', async () => {
    const bytes = await shared()
    const at = positionOf(bytes, 77)
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at)
    await expect(verify(bytes)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(`pfn 0x${pfnOf(77).toString(16)} at offset ${at} `),
    })
  })

  test('with other flags or another size are looked at by themselves', async () => {
    for (const harm of [
      (b: Buffer): void => void b.writeUInt32LE(pageFlags.lzo, desc(6377, 'flags')),
      (b: Buffer): void => void b.writeUInt32LE(sizeOf(b, 6377) - 1, desc(6377, 'size')),
    ]) {
      const bytes = await shared()
      harm(bytes)
      await expect(verify(bytes)).rejects.toMatchObject({
        code: 'CORRUPT',
        message: expect.stringContaining(`pfn 0x${pfnOf(6377).toString(16)} at offset`),
      })
    }
  })
})

describe('a thread', () => {
  const withModule = (source: string): VerifyThreads => ({
    ...threads,
    module: new URL(`data:text/javascript,${encodeURIComponent(source)}`),
  })
  const answering = (
    zstd: string,
  ): string => `import { answerChecks } from '${new URL('./answer-checks.ts', import.meta.url)}'
    answerChecks(() => ({ zstd: () => { ${zstd} }, [Symbol.dispose]() {} }))`
  const verifyWith = async (source: string): Promise<VerifySummary> => {
    const path = await pathOf('zstd')
    await using vmcore = await openVmcore(path)
    return await verifyVmcore(vmcore, { decompress, threads: withModule(source) })
  }

  test.each([
    ['that throws when it starts', "throw new Error('no such luck')", 'no such luck'],
    ['that answers nothing', 'process.exitCode = 0', 'ended with status 0'],
    ['that ends in the middle', answering('process.exit(3)'), 'ended with status 3'],
    ['that ends in the middle as if all were well', answering('process.exit(0)'), 'ended with status 0'],
    [
      'that ends badly once all is done',
      `${answering('return 4096')}; process.on('exit', () => { process.exitCode = 9 })`,
      'ended with status 9',
    ],
    ['that throws later', answering("queueMicrotask(() => { throw new Error('late') }); return 4096"), 'late'],
  ])('%s is an error', async (_, source, message) => {
    await expect(verifyWith(source)).rejects.toThrow(message)
  })

  test('that finds a page bad which is whole when it is read again: still an error', async () => {
    await expect(verifyWith(answering("throw new Error('a cosmic ray')"))).rejects.toMatchObject({
      code: 'UNREADABLE',
      message: expect.stringMatching(
        /^pfn 0x4 at offset \d+ was bad \(a cosmic ray\), and whole when it was read again$/,
      ),
    })
  })
})

test('threads stop when told to', async () => {
  await using vmcore = await openVmcore(await pathOf('zstd'), { decompress })
  const controller = new AbortController()
  const onProgress = (): void => controller.abort()
  await expect(verifyVmcore(vmcore, { threads, signal: controller.signal, onProgress })).rejects.toMatchObject({
    name: 'AbortError',
  })
})

test('no threads for one job, nor for less than two are worth: the thread that asks checks', async () => {
  await using vmcore = await openVmcore(await pathOf('zstd'), { decompress })
  const missing = { ...threads, module: new URL('file:///nonexistent.js') }
  for (const fewer of [{ jobs: 1 }, { bytesEach: 12 << 20 }]) {
    expect(await verifyVmcore(vmcore, { decompress, threads: { ...missing, ...fewer } })).toMatchObject(summary)
  }
  await expect(verifyVmcore(vmcore, { decompress, threads: missing })).rejects.toThrow('nonexistent')
})

test('what the caller checks with is given every table, and time to end', async () => {
  await using vmcore = await openVmcore(await pathOf('lzo'), { decompress })
  const seen: number[] = []
  let ended = 0
  const checker: OpenPageChecker = (file) => {
    const inner = twoAtOnce(file)
    return {
      width: inner.width,
      check(pages) {
        seen.push(pages.count)
        return inner.check(pages)
      },
      finish: () => inner.finish(),
      async [Symbol.asyncDispose]() {
        await setTimeout(10)
        ended++
      },
    }
  }
  expect(await verifyVmcore(vmcore, { decompress: {}, checker })).toMatchObject(summary)
  expect([seen, ended]).toEqual([[4096, 4096, 808], 1])
})

test.each([0, -1, 1.5, 257, Number.NaN])('%d jobs cannot be', async (jobs) => {
  await using vmcore = await openVmcore(await pathOf('zstd'), { decompress })
  await expect(verifyVmcore(vmcore, { threads: { ...threads, jobs } })).rejects.toThrow(RangeError)
})
