import { expect, test } from 'vitest'
import { ABSENT } from './paging.ts'
import { x86_64Paging } from './x86-64.ts'

const fourLevel = x86_64Paging({ fiveLevel: false })
const fiveLevel = x86_64Paging({ fiveLevel: true })

/** Decodes a 64-bit entry. */
function decode(entry: bigint, level: number, paging = fourLevel): number {
  return paging.decode(Number(entry & 0xffff_ffffn) | 0, Number(entry >> 32n) | 0, level)
}

test('entries without the present bit map nothing, whatever else is in them', () => {
  for (let level = 0; level < 4; level++) expect(decode(0xffff_ffff_ffff_fffen, level)).toBe(ABSENT)
})

test('frame numbers have 40 bits, flags and protection keys on both sides are not part of them', () => {
  expect(decode(0xffff_ffff_ffff_f003n, 3)).toBe((2 ** 40 - 1) * 2 + 1)
  expect(decode(0x8000_0001_2345_6063n, 0)).toBe(0x12_3456 * 2)
})

test('large pages start at their own size: the bit above the flags is a memory type', () => {
  expect(decode(0x8000_0000_4020_1083n | (1n << 12n), 2)).toBe(0x4_0200 * 2 + 1)
  expect(decode(0x0000_0001_4020_1083n, 1)).toBe(0x14_0000 * 2 + 1)
})

test('a large page where no processor knows one maps nothing', () => {
  expect(decode(0x1083n, 0)).toBe(ABSENT)
  expect(decode(0x1083n, 0, fiveLevel)).toBe(ABSENT)
  expect(decode(0x1083n, 1, fiveLevel)).toBe(ABSENT)
  expect(decode(0x4000_0083n, 2, fiveLevel)).toBe(0x4_0000 * 2 + 1)
})

test('the bit that marks encrypted memory is not part of the frame number', () => {
  for (const bit of [47n, 51n]) {
    const paging = x86_64Paging({ fiveLevel: false, encryptionMask: 1n << bit })
    expect(decode(0x1_2345_6063n | (1n << bit), 3, paging)).toBe(0x12_3456 * 2 + 1)
  }
})

test('addresses between the halves of the address space are not mappable', () => {
  expect(fourLevel.isMappable(0x0000_7fff_ffff_ffffn)).toBe(true)
  expect(fourLevel.isMappable(0xffff_8000_0000_0000n)).toBe(true)
  expect(fourLevel.isMappable(0x0000_8000_0000_0000n)).toBe(false)
  expect(fourLevel.isMappable(0xff11_0000_0000_0000n)).toBe(false)
  expect(fiveLevel.isMappable(0xff11_0000_0000_0000n)).toBe(true)
  expect(fiveLevel.isMappable(0x0100_0000_0000_0000n)).toBe(false)
  expect(fourLevel.isMappable(1n << 64n)).toBe(false)
})
