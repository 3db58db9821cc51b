import type { Endian, FieldType, Infer } from './field-type.ts'
import { LayoutError } from './layout-error.ts'

type Fields = Readonly<Record<string, FieldType<unknown>>>
type Values<F extends Fields> = { -readonly [K in keyof F]: Infer<F[K]> }

/** One C structure. It is a field type itself, so structures nest. */
export interface Struct<T> extends FieldType<T> {
  readonly name: string
  /** Byte offset of each field, for code that reads one field of many records with a DataView. */
  readonly offsets: Readonly<Record<keyof T & string, number>>
  /** The value at `offset` of `bytes`. Throws LayoutError when it does not fit into what is left. */
  read(bytes: Uint8Array, offset?: number, endian?: Endian): T
  /** Writes `value` at `offset` of `bytes`, padding as zeros. Throws LayoutError when it does not fit. */
  write(bytes: Uint8Array, offset: number, value: T, endian?: Endian): void
  /** `value` in bytes of its own. */
  toBytes(value: T, endian?: Endian): Uint8Array
}

/**
 * Declares a C structure: fields in order, aligned and padded as a C compiler on a 64-bit machine does, or `packed`.
 *
 * `sizeBytes` is the size the specification gives. Throws LayoutError at declaration, that is at import, when the fields
 * do not add up to it. Padding is not declared.
 */
export function struct<F extends Fields>(
  name: string,
  sizeBytes: number,
  fields: F,
  options: { packed?: boolean } = {},
): Struct<Values<F>> {
  const names: (keyof F & string)[] = Object.keys(fields)
  const offsets: Record<string, number> = {}
  let end = 0
  let align = 1
  for (const field of names) {
    const type = fields[field] as FieldType<unknown>
    const fieldAlign = options.packed ? 1 : type.align
    const offset = roundUp(end, fieldAlign)
    offsets[field] = offset
    end = offset + type.size
    align = Math.max(align, fieldAlign)
  }
  const size = roundUp(end, align)
  if (size !== sizeBytes) {
    throw new LayoutError(`${name} is declared with ${sizeBytes} bytes, its fields need ${size}`)
  }
  const members = names.map((field) => ({
    field,
    offset: offsets[field] as number,
    type: fields[field] as FieldType<unknown>,
  }))

  const decode = (view: DataView, offset: number, little: boolean): Values<F> => {
    const value: Partial<Record<string, unknown>> = {}
    for (const member of members) value[member.field] = member.type.decode(view, offset + member.offset, little)
    return value as Values<F>
  }
  const encode = (view: DataView, offset: number, value: Values<F>, little: boolean): void => {
    new Uint8Array(view.buffer, view.byteOffset + offset, size).fill(0)
    for (const { field, type, offset: inside } of members) {
      try {
        type.encode(view, offset + inside, value[field], little)
      } catch (cause) {
        if (!(cause instanceof LayoutError)) throw cause
        throw new LayoutError(`${name}.${field}: ${cause.message}`, { cause })
      }
    }
  }

  return {
    name,
    size,
    align,
    offsets: offsets as Record<keyof F & string, number>,
    decode,
    encode,
    read: (from, offset = 0, endian = 'little') => decode(viewAt(from, offset, size, name), 0, endian === 'little'),
    write: (into, offset, value, endian = 'little') =>
      encode(viewAt(into, offset, size, name), 0, value, endian === 'little'),
    toBytes: (value, endian = 'little') => {
      const result = new Uint8Array(size)
      encode(viewAt(result, 0, size, name), 0, value, endian === 'little')
      return result
    },
  }
}

/** Byte offset of `field` in `layout`. */
export function offsetOf<T>(layout: Struct<T>, field: keyof T & string): number {
  return layout.offsets[field]
}

/** A view of exactly `size` bytes at `offset`. Throws LayoutError, naming `what`, when `bytes` ends before. */
export function viewAt(bytes: Uint8Array, offset: number, size: number, what: string): DataView {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new LayoutError(`${what} cannot be at offset ${offset}`)
  const left = Math.max(0, bytes.byteLength - offset)
  if (size > left) throw new LayoutError(`${what} needs ${size} bytes at offset ${offset}, only ${left} are left`)
  return new DataView(bytes.buffer, bytes.byteOffset + offset, size)
}

function roundUp(value: number, align: number): number {
  return Math.ceil(value / align) * align
}
