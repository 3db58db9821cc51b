import type { Endian, FieldType } from './field-type.ts'
import { LayoutError } from './layout-error.ts'
import { viewAt } from './struct.ts'

/** Walks over bytes from front to back. It cannot leave its bounds, and a read that throws leaves it where it was. */
export class Cursor {
  readonly #bytes: Uint8Array
  readonly #littleEndian: boolean
  readonly #what: string
  #position = 0

  /** `what` names the bytes in errors, such as `p2m table`. */
  constructor(bytes: Uint8Array, what: string, endian: Endian = 'little') {
    this.#bytes = bytes
    this.#what = what
    this.#littleEndian = endian === 'little'
  }

  /** Offset of the next byte to be read. */
  get position(): number {
    return this.#position
  }

  /** Number of bytes not yet read. */
  get left(): number {
    return this.#bytes.byteLength - this.#position
  }

  /** Goes to `position`, anywhere from 0 to the end. */
  seek(position: number): void {
    if (!Number.isSafeInteger(position) || position < 0 || position > this.#bytes.byteLength) {
      throw new LayoutError(`${this.#what} has ${this.#bytes.byteLength} bytes, there is no offset ${position}`)
    }
    this.#position = position
  }

  /** Decodes one value and goes past it. */
  read<T>(type: FieldType<T> & { readonly name?: string }): T {
    const view = this.#view(type.size, type.name)
    const value = type.decode(view, 0, this.#littleEndian)
    this.#position += type.size
    return value
  }

  /** The next `count` bytes, not copied. */
  take(count: number): Uint8Array {
    const view = this.#view(count)
    this.#position += count
    return new Uint8Array(view.buffer, view.byteOffset, count)
  }

  skip(count: number): void {
    this.take(count)
  }

  /** Goes to the next multiple of `bytes` from the start. Throws LayoutError when that lies beyond the end. */
  alignTo(bytes: number): void {
    this.skip(Math.ceil(this.#position / bytes) * bytes - this.#position)
  }

  #view(size: number, inner?: string): DataView {
    if (!Number.isSafeInteger(size) || size < 0) throw new LayoutError(`${this.#what}: cannot read ${size} bytes`)
    return viewAt(this.#bytes, this.#position, size, inner === undefined ? this.#what : `${inner} of ${this.#what}`)
  }
}
