import { expect, test } from 'vitest'
import { Cursor } from './cursor.ts'
import { u16, u32 } from './field-type.ts'
import { LayoutError } from './layout-error.ts'
import { struct } from './struct.ts'

test('goes from front to back', () => {
  const cursor = new Cursor(Uint8Array.of(1, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0, 9), 'table', 'big')
  expect(cursor.read(u16)).toBe(0x100)
  expect([...cursor.take(2)]).toEqual([2, 3])
  cursor.skip(1)
  cursor.alignTo(8)
  expect(cursor.position).toBe(8)
  expect(cursor.read(u32)).toBe(9)
  expect(cursor.left).toBe(0)
})

test('a read that throws leaves it where it was', () => {
  const cursor = new Cursor(new Uint8Array(7), 'table')
  cursor.skip(4)
  const pair = struct('pair', 8, { a: u32, b: u32 })
  expect(() => cursor.read(pair)).toThrow(new LayoutError('pair of table needs 8 bytes at offset 4, only 3 are left'))
  expect(() => cursor.read(u32)).toThrow(new LayoutError('table needs 4 bytes at offset 4, only 3 are left'))
  expect(() => cursor.take(4)).toThrow(LayoutError)
  expect(() => cursor.take(-1)).toThrow(LayoutError)
  expect(() => cursor.take(Number.NaN)).toThrow(LayoutError)
  expect(() => cursor.alignTo(16)).toThrow(LayoutError)
  expect(() => cursor.seek(8)).toThrow(LayoutError)
  expect(() => cursor.seek(-1)).toThrow(LayoutError)
  expect(cursor.position).toBe(4)
  cursor.seek(7)
  expect(cursor.left).toBe(0)
})

test('cannot leave a view for the buffer around it', () => {
  const cursor = new Cursor(new Uint8Array(new ArrayBuffer(32), 8, 4), 'table')
  expect(cursor.take(4).byteOffset).toBe(8)
  expect(() => cursor.take(1)).toThrow(LayoutError)
})
