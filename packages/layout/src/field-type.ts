import { LayoutError } from './layout-error.ts'

/** Byte order of the data, never of the host. Little is the default everywhere in this package. */
export type Endian = 'little' | 'big'

/** How one value stands in memory. `decode` and `encode` trust that `size` bytes are there; `Struct` and `Cursor` check. */
export interface FieldType<T> {
  /** In bytes. */
  readonly size: number
  /** What the C compiler aligns it to, in bytes. */
  readonly align: number
  decode(view: DataView, offset: number, littleEndian: boolean): T
  encode(view: DataView, offset: number, value: T, littleEndian: boolean): void
}

/** The value that a field or structure decodes to. */
export type Infer<F> = F extends FieldType<infer T> ? T : never

export const u8: FieldType<number> = {
  size: 1,
  align: 1,
  decode: (view, offset) => view.getUint8(offset),
  encode: (view, offset, value) => view.setUint8(offset, inRange(value, 0, 0xff, 'u8')),
}

export const u16: FieldType<number> = {
  size: 2,
  align: 2,
  decode: (view, offset, little) => view.getUint16(offset, little),
  encode: (view, offset, value, little) => view.setUint16(offset, inRange(value, 0, 0xffff, 'u16'), little),
}

export const u32: FieldType<number> = {
  size: 4,
  align: 4,
  decode: (view, offset, little) => view.getUint32(offset, little),
  encode: (view, offset, value, little) => view.setUint32(offset, inRange(value, 0, 0xffff_ffff, 'u32'), little),
}

export const i32: FieldType<number> = {
  size: 4,
  align: 4,
  decode: (view, offset, little) => view.getInt32(offset, little),
  encode: (view, offset, value, little) =>
    view.setInt32(offset, inRange(value, -0x8000_0000, 0x7fff_ffff, 'i32'), little),
}

export const u64: FieldType<bigint> = {
  size: 8,
  align: 8,
  decode: (view, offset, little) => view.getBigUint64(offset, little),
  encode: (view, offset, value, little) =>
    view.setBigUint64(offset, inRange(value, 0n, 0xffff_ffff_ffff_ffffn, 'u64'), little),
}

export const i64: FieldType<bigint> = {
  size: 8,
  align: 8,
  decode: (view, offset, little) => view.getBigInt64(offset, little),
  encode: (view, offset, value, little) =>
    view.setBigInt64(offset, inRange(value, -(2n ** 63n), 2n ** 63n - 1n, 'i64'), little),
}

/** `unsigned char[size]`, taken as it is. Decoding copies. Encoding takes exactly `size` bytes. */
export function bytes(size: number): FieldType<Uint8Array> {
  return {
    size,
    align: 1,
    decode: (view, offset) => bytesOf(view, offset, size).slice(),
    encode: (view, offset, value) => {
      if (value.length !== size) throw new LayoutError(`expected ${size} bytes, found ${value.length}`)
      bytesOf(view, offset, size).set(value)
    },
  }
}

/**
 * `char[size]` that ends at its first NUL or, without one, at its last byte. Read as Latin-1, so that no byte is lost.
 * Encoding cuts what does not fit and keeps room for a final NUL, as the kernel's utsname does.
 */
export function text(size: number): FieldType<string> {
  return {
    size,
    align: 1,
    decode: (view, offset) => {
      const field = bytesOf(view, offset, size)
      const end = field.indexOf(0)
      return String.fromCharCode(...field.subarray(0, end === -1 ? size : end))
    },
    encode: (view, offset, value) => {
      const field = bytesOf(view, offset, size)
      field.fill(0)
      const length = Math.min(value.length, size - 1)
      for (let i = 0; i < length; i++) field[i] = value.charCodeAt(i) & 0xff
    },
  }
}

/** `T[count]`. Encoding takes exactly `count` values. */
export function array<T>(type: FieldType<T>, count: number): FieldType<T[]> {
  return {
    size: type.size * count,
    align: type.align,
    decode: (view, offset, little) =>
      Array.from({ length: count }, (_, i) => type.decode(view, offset + i * type.size, little)),
    encode: (view, offset, values, little) => {
      if (values.length !== count) throw new LayoutError(`expected ${count} values, found ${values.length}`)
      values.forEach((value, i) => type.encode(view, offset + i * type.size, value, little))
    },
  }
}

function bytesOf(view: DataView, offset: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, size)
}

function inRange<T extends number | bigint>(value: T, low: T, high: T, type: string): T {
  if (value < low || value > high || (typeof value === 'number' && !Number.isInteger(value))) {
    throw new LayoutError(`${value} does not fit a ${type}`)
  }
  return value
}
