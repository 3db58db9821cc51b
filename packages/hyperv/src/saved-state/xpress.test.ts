import { compressXpress } from '@ullage/lab'
import { expect, test } from 'vitest'
import { decompressXpress } from './xpress.ts'

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

/** Random bytes that repeat themselves more or less. */
function someBytes(size: number, random: () => number): Uint8Array {
  const found = new Uint8Array(size)
  const alphabet = 1 + Math.floor(random() * 256)
  for (let at = 0; at < size; ) {
    const isCopy = at > 0 && random() < 0.5
    const length = Math.min(size - at, 1 + Math.floor(random() ** 4 * (isCopy ? size : 40)))
    const from = Math.floor(random() * at)
    for (let i = 0; i < length; i++)
      found[at + i] = isCopy ? (found[from + i] as number) : Math.floor(random() * alphabet)
    at += length
  }
  return found
}

function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

test('the two examples of [MS-XCA] section 3.1', () => {
  const alphabet = new Uint8Array(26)
  const letters = '61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f 70 71 72 73 74 75 76 77 78 79 7a'
  expect(decompressXpress(bytes(`3f 00 00 00 ${letters}`), alphabet)).toBe(30)
  expect(Buffer.from(alphabet).toString()).toBe('abcdefghijklmnopqrstuvwxyz')
  const repeated = new Uint8Array(300)
  expect(decompressXpress(bytes('ff ff ff 1f 61 62 63 17 00 0f ff 26 01'), repeated)).toBe(13)
  expect(Buffer.from(repeated).toString()).toBe('abc'.repeat(100))
})

test('a match longer than 16 bits can say', () => {
  // One literal, then a match at distance 1 with its length in 32 bits: 2^17 - 1 of it, less 3.
  const input = bytes('ff ff ff 7f 61 07 00 0f ff 00 00 fc ff 01 00')
  const block = new Uint8Array(2 ** 17)
  expect(decompressXpress(input, block)).toBe(15)
  expect(block.every((byte) => byte === 0x61)).toBe(true)
})

test('what was compressed comes out again, whatever it was', () => {
  const random = randomFrom(7)
  for (let round = 0; round < 400; round++) {
    const input = someBytes(1 + Math.floor(random() * (round % 20 === 0 ? 200_000 : 6000)), random)
    const packed = compressXpress(input)
    const found = new Uint8Array(input.length)
    expect(packed.length - decompressXpress(packed, found)).toBeOneOf([0, 4])
    expect(Buffer.compare(found, input)).toBe(0)
  }
})

test.each([
  ['nothing', ''],
  ['half a word of flags', '00 00'],
  ['no literal after its flag', '00 00 00 00 61'],
  ['half a match', 'ff ff ff 7f 61 07'],
  ['a match without its length', 'ff ff ff 7f 61 07 00'],
  ['a match without its longer length', 'ff ff ff 7f 61 07 00 0f'],
  ['a match without its 16 bits', 'ff ff ff 7f 61 07 00 0f ff 10'],
  ['a match without its 32 bits', 'ff ff ff 7f 61 07 00 0f ff 00 00 fc ff'],
  ['a length smaller than its form needs', 'ff ff ff 7f 61 07 00 0f ff 15 00'],
  ['a match from before the beginning', 'ff ff ff 7f 61 08 00'],
  ['a match at the beginning', 'ff ff ff ff 00 00'],
  ['a match beyond the end', 'ff ff ff 7f 61 07 00 0f ff ff ff'],
])('refuses %s', (_, input) => {
  expect(decompressXpress(bytes(input), new Uint8Array(64))).toBe(-1)
})

test('random bytes never write beside their target', () => {
  const random = randomFrom(99)
  const area = new Uint8Array(4096 + 64)
  for (let round = 0; round < 20_000; round++) {
    area.fill(0xa5)
    const input = Uint8Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * 256))
    // Few first flags are ones, or a match would come before anything it can copy.
    if (input.length > 4) input[3] = 0
    const taken = decompressXpress(input, area.subarray(32, 32 + 4096))
    expect(taken).toBeLessThanOrEqual(input.length)
    if (area.subarray(0, 32).some((byte) => byte !== 0xa5) || area.subarray(-32).some((byte) => byte !== 0xa5)) {
      throw new Error(`wrote outside with ${Buffer.from(input).toString('hex')}`)
    }
  }
})
