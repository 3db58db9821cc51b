import { describe, expect, test } from 'vitest'
import { arm64Paging } from './arm64-paging.ts'
import { ABSENT } from './paging.ts'

const TABLE = 3n
const BLOCK = 1n
const K4 = { pageShift: 12, addressBits: 48, isLpa2: false }
const K4_LPA2 = { pageShift: 12, addressBits: 52, isLpa2: true }
const K16 = { pageShift: 14, addressBits: 47, isLpa2: false }
const K16_LPA2 = { pageShift: 14, addressBits: 52, isLpa2: true }
const K64 = { pageShift: 16, addressBits: 52, isLpa2: false }

function decode(options: typeof K4, entry: bigint, level: number): number {
  const paging = arm64Paging(options)
  return paging.decode(Number(entry & 0xffff_ffffn), Number(entry >> 32n), level)
}

test.each([
  [{ ...K4, addressBits: 39 }, '30:9 21:9 12:9'],
  [K4, '39:9 30:9 21:9 12:9'],
  [K4_LPA2, '48:4 39:9 30:9 21:9 12:9'],
  [{ ...K16, addressBits: 36 }, '25:11 14:11'],
  [K16, '36:11 25:11 14:11'],
  [{ ...K16, addressBits: 48 }, '47:1 36:11 25:11 14:11'],
  [K16_LPA2, '47:5 36:11 25:11 14:11'],
  [{ ...K64, addressBits: 42 }, '29:13 16:13'],
  [{ ...K64, addressBits: 48 }, '42:6 29:13 16:13'],
  [K64, '42:10 29:13 16:13'],
])('levels of %o', (options, levels) => {
  expect(
    arm64Paging(options)
      .levels.map(({ shift, indexBits }) => `${shift}:${indexBits}`)
      .join(' '),
  ).toBe(levels)
})

test('an address is the kernel’s when its upper bits are ones, whatever its tag', () => {
  const { isMappable } = arm64Paging(K4)
  expect(isMappable(0xffff_0000_0000_0000n)).toBe(true)
  expect(isMappable(0xf1ff_8000_0000_0000n)).toBe(true)
  expect(isMappable(0xfffe_ffff_ffff_f000n)).toBe(false)
  expect(isMappable(0x0000_ffff_ffff_f000n)).toBe(false)
  expect(arm64Paging(K4_LPA2).isMappable(0xfff0_0000_0000_0000n)).toBe(true)
  expect(arm64Paging(K4_LPA2).isMappable(0xffe0_0000_0000_0000n)).toBe(false)
})

describe('entries', () => {
  const attributes = 0x0068_0000_0000_0700n

  test('that are not valid map nothing, nor do blocks where there are none', () => {
    expect(decode(K4, 0x4000_0000n, 0)).toBe(ABSENT)
    expect(decode(K4, 0x4000_0002n, 3)).toBe(ABSENT)
    expect(decode(K4, 0x4000_0000n | BLOCK, 3)).toBe(ABSENT)
    expect(decode(K4, BLOCK, 0)).toBe(ABSENT)
    expect(decode(K16, BLOCK, 0)).toBe(ABSENT)
    expect(decode(K16_LPA2, BLOCK, 0)).toBe(ABSENT)
    expect(decode({ ...K4_LPA2, isLpa2: true }, BLOCK, 0)).toBe(ABSENT)
  })

  test('point to tables and map pages and blocks, aligned to their size', () => {
    expect(decode(K4, 0x4123_4000n | TABLE, 1)).toBe(0x41234 * 2)
    expect(decode(K4, 0x4123_4000n | attributes | TABLE, 3)).toBe(0x41234 * 2 + 1)
    expect(decode(K4, 0x4123_4000n | attributes | BLOCK, 2)).toBe(0x41200 * 2 + 1)
    expect(decode(K4, 0x4123_4000n | attributes | BLOCK, 1)).toBe(0x40000 * 2 + 1)
    expect(decode(K4_LPA2, 0x80_4000_0000n | BLOCK, 1)).toBe((0x80_0000_0000 / 4096) * 2 + 1)
    expect(decode(K16, 0x4123_4000n | attributes | TABLE, 2)).toBe((0x4123_4000 / 16_384) * 2 + 1)
    expect(decode(K16, 0x4323_4000n | BLOCK, 1)).toBe((0x4200_0000 / 16_384) * 2 + 1)
    expect(decode(K16_LPA2, 0x10_4323_4000n | BLOCK, 1)).toBe((0x10_0000_0000 / 16_384) * 2 + 1)
    expect(decode(K64, 0x4123_0000n | attributes | TABLE, 2)).toBe(0x4123 * 2 + 1)
    expect(decode(K64, 0x4123_0000n | BLOCK, 1)).toBe(0x4000 * 2 + 1)
    expect(decode(K64, 0x409_4123_0000n | BLOCK, 0)).toBe((0x400_0000_0000 / 65_536) * 2 + 1)
  })

  test('have 52 bits of address where their form has, and 48 elsewhere', () => {
    // Bits 51 and 50 in 9 and 8, bits 49 and 48 in place.
    expect(decode(K4_LPA2, 0x0002_0000_4000_0000n | 0x300n | TABLE, 4)).toBe((0xe_0000_4000_0000 / 4096) * 2 + 1)
    expect(decode(K16_LPA2, 0x0001_0000_4000_0000n | 0x100n | TABLE, 3)).toBe((0x5_0000_4000_0000 / 16_384) * 2 + 1)
    expect(decode(K64, 0x8000_4000_0000n | 0xa000n | TABLE, 2)).toBe((0xa_8000_4000_0000 / 65_536) * 2 + 1)
    // Shareability, and bits that the architecture leaves to software.
    expect(decode(K4, 0x0783_0000_4000_0000n | 0x300n | TABLE, 3)).toBe(0x40000 * 2 + 1)
    expect(decode(K16, 0x0783_0000_4000_0000n | 0x300n | TABLE, 2)).toBe((0x4000_0000 / 16_384) * 2 + 1)
  })
})
