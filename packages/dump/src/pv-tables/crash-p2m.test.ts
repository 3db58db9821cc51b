import { readElfNotes } from '@ullage/layout'
import { PfnSet } from '@ullage/pages'
import { expect, test } from 'vitest'
import { CrashP2m } from './crash-p2m.ts'

const INVALID = 0xffff_ffff_ffff_ffffn

/** The list as crash reads it (x86_64.c, x86_64_xen_kdump_p2m_create), from frames of the dump alone. */
function asCrash(p2m: CrashP2m): (pfn: number) => bigint | undefined {
  const page = (frame: bigint): BigUint64Array => {
    const at = Number(frame)
    if (at < p2m.range.start || at >= p2m.range.start + p2m.range.count)
      throw new Error(`frame ${at} is not of the list`)
    const words = new BigUint64Array(512)
    p2m.fill(at, new Uint8Array(words.buffer))
    return words
  }
  const [note] = [...readElfNotes(p2m.note())]
  const words = new BigUint64Array(Uint8Array.from(note?.desc ?? []).buffer)
  const list: bigint[] = []
  for (const frame of page(words.at(-1) as bigint)) {
    if (frame === 0n) break
    list.push(...page(frame).filter((entry) => entry !== 0n))
  }
  return (pfn) => {
    const frame = list[Math.floor(pfn / 512)]
    return frame === undefined ? undefined : page(frame)[pfn % 512]
  }
}

test('every frame stands for itself, in a list above guest RAM', () => {
  const present = PfnSet.of([{ start: 0, count: 1100 }])
  const p2m = new CrashP2m([{ start: 0, count: 1100 }], present)
  // The first page, one list, three pages of it, and the page of frames that do not exist.
  expect(p2m.range).toEqual({ start: 1100, count: 6 })
  const look = asCrash(p2m)
  for (let pfn = 0; pfn < 1100; pfn++) expect(look(pfn)).toBe(BigInt(pfn))
  expect(look(3 * 512)).toBeUndefined()
})

test('frames that the dump does not have share one page, however many they are', () => {
  const present = PfnSet.of([
    { start: 0, count: 1 },
    { start: 2 ** 24, count: 1 },
  ])
  const extents = [
    { start: 0, count: 1000 },
    { start: 2 ** 24, count: 2000 },
  ]
  const p2m = new CrashP2m(extents, present)
  const look = asCrash(p2m)
  expect(p2m.range).toEqual({ start: 2 ** 24 + 2000, count: 1 + 65 + 2 + 1 })
  expect(look(511)).toBe(511n)
  expect(look(512)).toBe(INVALID)
  expect(look(2 ** 24)).toBe(2n ** 24n)
  expect(look(2 ** 24 + 600)).toBe(INVALID)
})

test('the note has the type that crash goes by, and no name that another reader knows', () => {
  const [note, ...others] = [...readElfNotes(new CrashP2m([{ start: 0, count: 8 }], new PfnSet()).note())]
  expect(others).toEqual([])
  expect(note).toMatchObject({ name: 'ULLAGE', type: 0x1000001 })
  expect(note?.desc.length).toBe(64)
})
