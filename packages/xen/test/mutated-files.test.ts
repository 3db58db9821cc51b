import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OfflineError, type OpenGuest } from '@ullage/offline-query'
import { openXen } from '@ullage/xen'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { makeCore } from './made-core.ts'
import { makeSave } from './made-save.ts'
import { openFiles } from './refusal.ts'

const RUNS = 1500
/** Of one file, in milliseconds: they have some tens of kilobytes. */
const MOST_MS = 2000
/** What opening a file of some kilobytes may add to the heap and beside it, after thousands of them. */
const MOST_BYTES = 256 * 2 ** 20

const folder = mkdtempSync(join(tmpdir(), 'ullage-xen-mutated-'))
afterAll(() => rmSync(folder, { recursive: true }))

const pages = [
  [
    { pfn: 0n, fill: 1 },
    { pfn: 1n, fill: 2 },
    { pfn: 2n, type: 15 },
  ],
  [
    { pfn: 1n, fill: 3 },
    { pfn: 9n, type: 13 },
    { pfn: 40n, fill: 4 },
  ],
]
const frames = [0n, 1n, 2n, 5n, 2n ** 64n - 1n, 9n]
const bases = [
  ['core', 'of a pv guest', makeCore({ kind: 'pv', frames: frames.slice(0, 4), maxPfn: 64n })],
  ['core', 'of an hvm guest', makeCore({ kind: 'hvm', frames })],
  ['save', 'of a pv guest', makeSave({ kind: 'pv', pages })],
  [
    'save',
    'of an hvm guest',
    makeSave({ kind: 'hvm', pages, libxl: [{ type: 2, body: new Uint8Array(9) }, { type: 0 }] }),
  ],
] as const

const interesting = [0n, 1n, 2n, 7n, 0x7fn, 0xffn, 0xfffn, 0x1000n, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn]
const values = fc.oneof(
  fc.constantFrom(...interesting, ...[40n, 52n, 53n, 60n, 63n, 64n].flatMap((bits) => [2n ** bits - 1n, 2n ** bits])),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
)
/** Where: most of what decides stands near the beginning and near the end. */
const place = fc.oneof(
  fc.nat(2000).map((at) => (_size: number) => at),
  fc.nat(2000).map((at) => (size: number) => size - at),
  fc.double({ min: 0, max: 1, noNaN: true }).map((share) => (size: number) => Math.floor(size * share)),
)
const mutation = fc.oneof(
  fc.record({ kind: fc.constant('word' as const), place, bytes: fc.constantFrom(1, 2, 4, 8), value: values }),
  fc.record({ kind: fc.constant('cut' as const), place }),
  fc.record({ kind: fc.constant('remove' as const), place, count: fc.constantFrom(1, 8, 16, 64, 4096, 4104) }),
  fc.record({ kind: fc.constant('repeat' as const), place, count: fc.constantFrom(8, 16, 24, 64, 4096, 4120) }),
)

type Mutation = typeof mutation extends fc.Arbitrary<infer M> ? M : never

function mutate(base: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  let bytes = Buffer.from(base)
  for (const one of mutations) {
    const at = Math.min(bytes.length, Math.max(0, one.place(bytes.length)))
    if (one.kind === 'cut') bytes = bytes.subarray(0, at)
    else if (one.kind === 'remove') bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + one.count)])
    else if (one.kind === 'repeat') bytes = Buffer.concat([bytes.subarray(0, at + one.count), bytes.subarray(at)])
    else {
      const word = Buffer.alloc(8)
      word.writeBigUInt64LE(BigInt.asUintN(64, one.value))
      word.copy(bytes, at, 0, Math.min(one.bytes, bytes.length - at))
    }
  }
  return bytes
}

/** Opens it and asks for all there is. Whether it could be opened. */
async function useAll(kind: 'core' | 'save', file: string): Promise<boolean> {
  let guest: OpenGuest
  try {
    guest = await openXen({ kind, file }, { baseDir: folder, stateDir: folder })
  } catch (error) {
    if (!(error instanceof OfflineError)) throw error
    expect(error.message).toMatch(/./)
    expect(error.message).not.toMatch(/undefined|NaN|\[object/)
    return false
  }
  await using opened = guest
  const page = new Uint8Array(4096)
  let read = 0
  for (const { start, count } of opened.memory.extents) {
    for await (const run of opened.backing.backing({ within: { start, count } })) {
      if (run.state !== 'backed' || read > 200) continue
      for (const pfn of new Set([run.start, run.start + run.count - 1])) {
        opened.memory.read({ start: pfn, count: 1 }, page)
        read++
      }
    }
  }
  expect(read).toBeGreaterThan(0)
  const { cpus } = await opened.notes()
  expect(cpus).toBeGreaterThanOrEqual(0)
  const { backedBytes } = await opened.hostMemory()
  expect(backedBytes).toBeGreaterThan(0)
  return true
}

describe.each(bases)('a %s %s, changed at random', (kind, _, base) => {
  test('is refused or read, in bounded time and memory', async () => {
    const file = `mutated.${kind}`
    const filesBefore = openFiles()
    const { rss: before } = process.memoryUsage()
    let opened = 0
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
        writeFileSync(join(folder, file), mutate(base, mutations))
        const start = performance.now()
        if (await useAll(kind, file)) opened++
        expect(performance.now() - start).toBeLessThan(MOST_MS)
      }),
      { numRuns: RUNS },
    )
    // Some changes hurt, some do not.
    expect(opened).toBeGreaterThan(RUNS / 100)
    expect(opened).toBeLessThan(RUNS)
    expect(openFiles()).toBe(filesBefore)
    expect(process.memoryUsage().rss - before).toBeLessThan(MOST_BYTES)
  })
})
