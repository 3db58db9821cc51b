import type { PfnRange } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { findPvTables } from './find-pv-tables.ts'

const [PRESENT, WRITABLE, USER] = [1, 2, 4]
const READ_ONLY = PRESENT
const READ_WRITE = PRESENT | WRITABLE

/** A guest in which frame n has the machine frame n + 0x1000, and memory for the frames that were written to. */
class MadeGuest {
  readonly frames = new Map<number, BigUint64Array>()
  reads = 0

  write(pfn: number, entries: Readonly<Record<number, readonly [pfn: number, flags: number]>>): this {
    const words = this.frames.get(pfn) ?? new BigUint64Array(512)
    for (const [slot, [target, flags]] of Object.entries(entries)) {
      words[Number(slot)] = (BigInt(target + 0x1000) << 12n) | BigInt(flags)
    }
    this.frames.set(pfn, words)
    return this
  }

  readonly memory = {
    toPfn: (gfn: number) => (gfn >= 0x1000 && gfn < 0x1200 ? gfn - 0x1000 : undefined),
    readFrames: (range: PfnRange, into: Uint8Array) => {
      this.reads++
      for (let i = 0; i < range.count; i++) {
        const words = this.frames.get(range.start + i)
        if (!words) return false
        into.set(new Uint8Array(words.buffer), i * 4096)
      }
      return true
    },
  }

  find(...roots: number[]) {
    const { tables, roots: count, doubted } = findPvTables(this.memory, roots)
    const byLevel = ([4, 3, 2, 1] as const).map((level) =>
      [...tables.ofLevel(level).allRuns()].flatMap(({ start, count: frames }) =>
        Array.from({ length: frames }, (_, i) => start + i),
      ),
    )
    return { byLevel, roots: count, doubted }
  }
}

/**
 * The kernel's root 1, and its half: 2, 3, 4 map the frames 0 to 99. Process: root 10, its half 11, 12, 13; its second root
 * 20. All tables can be read only, other frames written to.
 */
function guestWithProcess(): MadeGuest {
  const guest = new MadeGuest()
  guest.write(1, { 300: [2, READ_WRITE] })
  guest.write(2, { 0: [3, READ_WRITE] })
  guest.write(3, { 0: [4, READ_WRITE] })
  const tables = [1, 2, 3, 4, 10, 11, 12, 13, 20]
  for (let pfn = 0; pfn < 100; pfn++) guest.write(4, { [pfn]: [pfn, tables.includes(pfn) ? READ_ONLY : READ_WRITE] })
  guest.write(10, { 5: [11, READ_WRITE | USER], 300: [2, READ_WRITE] })
  guest.write(20, { 5: [11, READ_WRITE | USER] })
  guest.write(11, { 0: [12, READ_WRITE | USER] })
  guest.write(12, { 0: [13, READ_WRITE | USER] })
  guest.write(13, { 0: [50, READ_WRITE | USER] })
  return guest
}

const ALL = [
  [1, 10, 20],
  [2, 11],
  [3, 12],
  [4, 13],
]

describe('finds', () => {
  test('the tables of processes by the kernel’s root, and the second root of each', () => {
    expect(guestWithProcess().find(1)).toEqual({ byLevel: ALL, roots: 3, doubted: 0 })
  })

  test('the same from a root that a vCPU has loaded', () => {
    expect(guestWithProcess().find(10).byLevel).toEqual(ALL)
    expect(guestWithProcess().find(20, 10, 1).byLevel).toEqual(ALL)
  })

  test('a root whose entries the processor has marked as used', () => {
    const guest = guestWithProcess()
    guest.write(10, { 300: [2, READ_WRITE | 0x60] })
    expect(guest.find(1).byLevel).toEqual(ALL)
  })

  test('a second root that maps nothing but the page of system calls, as other second roots do', () => {
    const guest = guestWithProcess()
    guest.write(2, { 9: [3, READ_WRITE] }).write(20, { 511: [2, READ_ONLY | USER] })
    guest
      .write(4, { 30: [30, READ_ONLY], 31: [31, READ_ONLY] })
      .write(30, { 511: [2, READ_ONLY | USER] })
      .write(31, {})
    expect(guest.find(1).byLevel).toEqual([
      [1, 10, 20, 30],
      [2, 11],
      [3, 12],
      [4, 13],
    ])
  })
})

describe('leaves alone', () => {
  test('what a process has freed, which has the same content and can be written to', () => {
    const guest = guestWithProcess()
    guest.write(60, { 5: [11, READ_WRITE | USER], 300: [2, READ_WRITE] })
    guest.write(61, { 5: [11, READ_WRITE | USER] })
    expect(guest.find(1).byLevel).toEqual(ALL)
  })

  test('a frame that cannot be written to and looks like no root', () => {
    const guest = guestWithProcess()
    guest.write(4, { 70: [70, READ_ONLY], 71: [71, READ_ONLY], 72: [72, READ_ONLY] })
    guest
      .write(70, { 300: [3, READ_WRITE] })
      .write(71, {})
      .write(72, { 5: [11, READ_WRITE], 280: [2, READ_WRITE] })
    expect(guest.find(1).byLevel).toEqual(ALL)
  })

  test('a frame that is reached as a table and that the kernel can write to', () => {
    const guest = guestWithProcess()
    guest.write(4, { 13: [13, READ_WRITE] })
    expect(guest.find(1)).toEqual({ byLevel: [[1, 10, 20], [2, 11], [3, 12], [4]], roots: 3, doubted: 1 })
  })

  test('what stands in the entries that are Xen’s: the root itself, as a table', () => {
    const guest = guestWithProcess()
    guest
      .write(1, { 258: [1, READ_WRITE], 260: [80, READ_WRITE] })
      .write(80, { 0: [81, READ_WRITE] })
      .write(81, {})
    expect(guest.find(1).byLevel).toEqual(ALL)
  })

  test('tables without memory, and roots that are none', () => {
    const guest = guestWithProcess()
    guest.frames.delete(12)
    expect(guest.find(1, 99).byLevel).toEqual([[1, 10, 20], [2, 11], [3], [4]])
    expect(new MadeGuest().find()).toEqual({ byLevel: [[], [], [], []], roots: 0, doubted: 0 })
  })
})

test('tables that lead to one another end, and each is read a few times only', () => {
  const guest = new MadeGuest()
  const everywhere = Object.fromEntries(Array.from({ length: 512 }, (_, i) => [i, [i % 256, READ_WRITE] as const]))
  for (let pfn = 0; pfn < 256; pfn++) guest.write(pfn, everywhere)
  const { byLevel } = guest.find(0, 7)
  expect(byLevel.flat().length).toBeLessThanOrEqual(256)
  expect(guest.reads).toBeLessThan(3 * 256)
})

test('ends with the signal', () => {
  const guest = guestWithProcess()
  expect(() => findPvTables(guest.memory, [1], { signal: AbortSignal.abort(new Error('enough')) })).toThrow('enough')
})
