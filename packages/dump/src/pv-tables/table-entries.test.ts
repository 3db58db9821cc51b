import { expect, test } from 'vitest'
import { type EntryCounts, rewriteTable, TABLE_WORDS, type TableLevel } from './table-entries.ts'

/** Entry 0 of a table after rewriting, where machine frame 0x12345 is the guest's frame 0x40. */
function rewrite(entry: bigint, level: TableLevel): { entry: bigint; counts: EntryCounts } {
  const words = new Uint32Array(TABLE_WORDS)
  new DataView(words.buffer).setBigUint64(0, entry, true)
  const counts = { rewritten: 0, left: 0, misleading: 0 }
  rewriteTable(words, 0, { level, toPfn: (gfn) => (gfn === 0x12345 ? 0x40 : undefined), endPfn: 0x1000, counts })
  expect(new Uint8Array(words.buffer, 8).every((byte) => byte === 0)).toBe(true)
  return { entry: new DataView(words.buffer).getBigUint64(0, true), counts }
}

test('a machine frame becomes the guest’s, and every other bit stays', () => {
  const flags = 0xfff0_0000_0000_0067n
  const { entry, counts } = rewrite((0x12345n << 12n) | flags, 4)
  expect(entry).toBe((0x40n << 12n) | flags)
  expect(counts).toEqual({ rewritten: 1, left: 0, misleading: 0 })
})

test('in a last table bit 7 is no large page', () => {
  expect(rewrite((0x12345n << 12n) | 0x81n, 1).entry).toBe((0x40n << 12n) | 0x81n)
})

test.each([
  ['nothing', 0n],
  ['a page that is protected from its process, by its own frame number', (0x12345n << 12n) | 0x100n],
  ['a page that is swapped out', 0x7ff_ffff_edcb_a9fen & ~1n],
])('%s is not present: it stays and counts nowhere', (_, value) => {
  expect(rewrite(value, 1)).toEqual({ entry: value, counts: { rewritten: 0, left: 0, misleading: 0 } })
})

test('a frame that is not the guest’s stays, and counts as misleading where the guest has one of that number', () => {
  const others = (0x7_0000n << 12n) | 1n
  expect(rewrite(others, 1)).toEqual({ entry: others, counts: { rewritten: 0, left: 1, misleading: 0 } })
  const small = (0x41n << 12n) | 1n
  expect(rewrite(small, 1)).toEqual({ entry: small, counts: { rewritten: 0, left: 1, misleading: 1 } })
})

test('an entry that maps more than a frame is none that Xen allows, and stays', () => {
  const large = (0x12345n << 12n) | 0x81n
  expect(rewrite(large, 2)).toEqual({ entry: large, counts: { rewritten: 0, left: 1, misleading: 0 } })
})
