import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { array, bytes, type FieldType, i32, i64, text, u8, u16, u32, u64 } from './field-type.ts'
import { LayoutError } from './layout-error.ts'
import { offsetOf, struct } from './struct.ts'

const sample = struct('sample', 32, { tag: u8, wide: u64, short: u16, pair: array(u16, 2), name: text(5), number: i32 })
const value = { tag: 7, wide: 2n ** 63n, short: 0xabcd, pair: [1, 2], name: 'abc', number: -5 }

describe('placing fields', () => {
  test('follows the rules of C', () => {
    expect(sample.offsets).toEqual({ tag: 0, wide: 8, short: 16, pair: 18, name: 22, number: 28 })
    expect(offsetOf(sample, 'name')).toBe(22)
  })

  test('pads the end to the strictest alignment, packed to none', () => {
    expect(struct('tail', 16, { wide: u64, tag: u8 }).size).toBe(16)
    expect(struct('packed', 9, { wide: u64, tag: u8 }, { packed: true }).size).toBe(9)
  })

  test('nests, with the alignment of the inner structure', () => {
    const inner = struct('inner', 16, { a: u8, b: u64 })
    const outer = struct('outer', 24, { a: u8, inner })
    expect(outer.offsets.inner).toBe(8)
    const nested = { a: 1, inner: { a: 2, b: 3n } }
    expect(outer.read(outer.toBytes(nested))).toEqual(nested)
  })

  test('throws at declaration when the size does not add up', () => {
    expect(() => struct('page_desc', 20, { offset: u64, size: u32, flags: u32, page_flags: u64 })).toThrow(
      new LayoutError('page_desc is declared with 20 bytes, its fields need 24'),
    )
  })
})

describe('reading and writing', () => {
  test('little endian unless told otherwise', () => {
    const short = struct('short', 4, { n: u32 })
    expect(short.toBytes({ n: 1 })).toEqual(Uint8Array.of(1, 0, 0, 0))
    expect(short.toBytes({ n: 1 }, 'big')).toEqual(Uint8Array.of(0, 0, 0, 1))
    expect(short.read(Uint8Array.of(0, 0, 0, 1), 0, 'big')).toEqual({ n: 1 })
  })

  test('says structure, offset, needed and left', () => {
    const page_desc = struct('page_desc', 24, { offset: u64, size: u32, flags: u32, page_flags: u64 })
    expect(() => page_desc.read(new Uint8Array(23))).toThrow(
      new LayoutError('page_desc needs 24 bytes at offset 0, only 23 are left'),
    )
    expect(() => page_desc.read(new Uint8Array(30), 10)).toThrow('at offset 10, only 20 are left')
    expect(() => page_desc.read(new Uint8Array(30), 40)).toThrow('at offset 40, only 0 are left')
    expect(() => page_desc.read(new Uint8Array(30), -1)).toThrow('cannot be at offset -1')
    expect(() => page_desc.write(new Uint8Array(8), 0, { offset: 0n, size: 0, flags: 0, page_flags: 0n })).toThrow(
      LayoutError,
    )
  })

  test('a view into a larger buffer ends where the view ends', () => {
    const buffer = new ArrayBuffer(64)
    expect(() => sample.read(new Uint8Array(buffer, 8, 31))).toThrow('only 31 are left')
    new Uint8Array(buffer)[8] = 9
    expect(sample.read(new Uint8Array(buffer, 8, 32)).tag).toBe(9)
  })

  test('writing clears the padding', () => {
    const into = new Uint8Array(32).fill(0xff)
    sample.write(into, 0, value)
    expect(into.subarray(1, 8)).toEqual(new Uint8Array(7))
    expect(sample.read(into)).toEqual(value)
  })

  test.each([
    ['u8', u8, 256],
    ['u16', u16, -1],
    ['u32', u32, 1.5],
    ['i32', i32, 2 ** 31],
  ])('refuses what does not fit a %s', (name, type, wrong) => {
    const one = struct('one', type.size, { n: type })
    expect(() => one.toBytes({ n: wrong })).toThrow(new LayoutError(`one.n: ${wrong} does not fit a ${name}`))
  })

  test('refuses bigints beyond 64 bits, and arrays and bytes of another length', () => {
    expect(() => struct('one', 8, { n: u64 }).toBytes({ n: -1n })).toThrow('does not fit a u64')
    expect(() => struct('one', 8, { n: i64 }).toBytes({ n: 2n ** 63n })).toThrow('does not fit a i64')
    expect(() => struct('one', 4, { n: array(u16, 2) }).toBytes({ n: [1] })).toThrow('expected 2 values, found 1')
    expect(() => struct('one', 2, { n: bytes(2) }).toBytes({ n: new Uint8Array(3) })).toThrow('expected 2 bytes')
  })

  test('text is cut so that a NUL remains, and reads to its end without one', () => {
    const one = struct('one', 4, { n: text(4) })
    expect(one.toBytes({ n: 'abcdef' })).toEqual(Uint8Array.of(97, 98, 99, 0))
    expect(one.read(Uint8Array.of(97, 98, 99, 100)).n).toBe('abcd')
    expect(one.read(Uint8Array.of(97, 0, 99, 0)).n).toBe('a')
  })

  test('decoded bytes are a copy', () => {
    const one = struct('one', 2, { n: bytes(2) })
    const source = Uint8Array.of(1, 2)
    const { n } = one.read(source)
    source.fill(0)
    expect(n).toEqual(Uint8Array.of(1, 2))
  })
})

test('any structure reads back what it wrote, in either byte order, at any offset', () => {
  const types: FieldType<unknown>[] = [u8, u16, u32, i32]
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...types.keys()), { minLength: 1, maxLength: 12 }),
      fc.nat(15),
      fc.constantFrom('little' as const, 'big' as const),
      fc.boolean(),
      (picks, offset, endian, packed) => {
        const all = [u8, u16, u32, i32]
        const fields = Object.fromEntries(picks.map((pick, i) => [`f${i}`, all[pick] as typeof u8]))
        const aligns = picks.map((pick) => (all[pick] as typeof u8).align)
        const sum = picks.reduce((at, pick, i) => {
          const align = packed ? 1 : (aligns[i] as number)
          return Math.ceil(at / align) * align + (all[pick] as typeof u8).size
        }, 0)
        const end = packed ? 1 : Math.max(...aligns)
        const any = struct('any', Math.ceil(sum / end) * end, fields, { packed })
        const value = Object.fromEntries(picks.map((_, i) => [`f${i}`, (i * 37) % 128]))
        const into = new Uint8Array(any.size + offset)
        any.write(into, offset, value, endian)
        expect(any.read(into, offset, endian)).toEqual(value)
      },
    ),
  )
})
