import { seeded } from '@ullage/lab'
import { expect, test } from 'vitest'
import { arm64Paging } from './arm64-paging.ts'
import { GuestFrames } from './guest-frames.ts'
import type { GuestView } from './guest-view.ts'
import { KernelMemory } from './kernel-memory.ts'
import { PageWalker } from './page-walker.ts'
import type { Paging } from './paging.ts'
import { x86_64Paging } from './x86-64.ts'

const FRAMES = 2 ** 21
const ROOT = 7

type Entry = (pfn: number, isLast: boolean, kind: 'table' | 'leaf') => bigint

/**
 * Tables of random entries: absent, neighbours of the one before, blocks, tables; some cannot be read. `leaves` are pages,
 * from the first that the tables can map, at which something is mapped that the entry before does not map.
 */
function randomTables(paging: Paging, entry: Entry, firstOfRoot: number, random: () => number) {
  const tables = new Map<number, Uint8Array>()
  const leaves: number[] = []
  const last = paging.levels.length - 1
  const fill = (pfn: number, level: number, page: number): void => {
    const view = new DataView(new ArrayBuffer(4096))
    tables.set(pfn, new Uint8Array(view.buffer))
    const span = 2 ** ((paging.levels[level]?.shift ?? 12) - 12)
    let kind = 'absent'
    let next = 0
    // Also beyond the entries of a level, where none are, whatever it looks like.
    for (let index = level === 0 ? firstOfRoot : 0; index < 512; index++) {
      if (random() < 0.1)
        kind = level === last ? 'leaf' : (['leaf', 'table', 'absent'][Math.floor(random() * 3)] as string)
      if (random() < 0.05) kind = 'absent'
      if (kind === 'table' && tables.size < 60) {
        const child = ROOT + 1 + tables.size
        fill(child, level + 1, page + index * span)
        view.setBigUint64(index * 8, entry(child, false, 'table'), true)
      }
      if (kind !== 'leaf') continue
      if (random() < 0.1) {
        next = Math.floor((random() * FRAMES) / span) * span
        leaves.push(page + index * span)
      }
      view.setBigUint64(index * 8, entry(next, level === last, 'leaf'), true)
      next += span
    }
  }
  fill(ROOT, 0, 0)
  for (const pfn of tables.keys()) if (pfn !== ROOT && random() < 0.05) tables.delete(pfn)
  return { tables, leaves }
}

const x86Entry = (pfn: number, isLast: boolean, kind: 'table' | 'leaf'): bigint =>
  (BigInt(pfn) << 12n) | 1n | (kind === 'leaf' && !isLast ? 0x80n : 0n)
const armEntry = (pfn: number, isLast: boolean, kind: 'table' | 'leaf'): bigint =>
  (BigInt(pfn) << 12n) | (kind === 'leaf' && !isLast ? 1n : 3n)

const paging4 = x86_64Paging({ fiveLevel: false })
/** 64 entries in the root table, which may map 1 GiB each. */
const paging36 = arm64Paging({ pageShift: 12, addressBits: 36, isLpa2: false })

test.each([
  ['x86-64', paging4, x86Entry, 0xffff_8000_0000_0000n, 256, 'x86_64'],
  ['arm64', paging36, armEntry, 0xffff_fff0_0000_0000n, 0, 'aarch64'],
] as const)(
  '%s: what is mapped in runs is what is mapped page by page',
  (_name, paging, entry, half, root, machine) => {
    const below = (root * 2 ** (paging.levels[0]?.shift ?? 0)) / 4096
    const end = (2n ** 64n - half) / 4096n
    let longest = 0
    for (let seed = 0; seed < 60; seed++) {
      const random = seeded(seed)
      const { tables, leaves } = randomTables(paging, entry, root, random)
      for (const isIdentity of [true, false]) {
        const view: GuestView = {
          frameBytes: 4096,
          extents: [{ start: 0, count: FRAMES }],
          machine,
          tryRead: ({ start }, into) => {
            const table = tables.get(start)
            if (table) into.set(table)
            return table !== undefined
          },
          // Tables keep their number; other frames have neighbours that are none, and some are nobody's.
          toPfn: (gfn) => (isIdentity || gfn < 100 ? gfn : gfn % 64 === 5 ? undefined : gfn ^ 0x100),
          isIdentity,
        }
        const frames = new GuestFrames(view)
        const memory = new KernelMemory(frames, new PageWalker(frames, paging, ROOT))
        const single = new PageWalker(frames, paging, ROOT)
        for (let i = 0; i < 12; i++) {
          const leaf = leaves[Math.floor(random() * leaves.length)] ?? 0
          const near = BigInt(leaf - below - 600 + Math.floor(random() * 700))
          // Around something mapped, from below the kernel's half into it, across the end of the address space.
          const start = half + (i === 0 ? -1n : i === 1 ? end - 9n : near) * 4096n
          const count = 1 + Math.floor(random() * 3000)
          let done = 0
          for (const { at, pages, pfn } of memory.mapping(start, count)) {
            if (at !== done) expect(at).toBe(done)
            for (const page of new Set([0, Math.floor(random() * pages), pages - 1])) {
              const isMapped = single.walk(start + BigInt(at + page) * 4096n) === 'mapped'
              const expected = isMapped ? view.toPfn(single.gfn) : undefined
              const found = pfn === undefined ? undefined : pfn + page
              if (found !== expected)
                expect([seed, start, at + page, found]).toEqual([seed, start, at + page, expected])
            }
            if (pfn !== undefined) longest = Math.max(longest, pages)
            done += pages
          }
          expect(done).toBe(count)
        }
      }
    }
    expect(longest).toBeGreaterThan(512)
  },
)
