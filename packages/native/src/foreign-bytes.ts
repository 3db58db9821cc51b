import { addressOf } from './address.ts'
import { libc } from './foreign.ts'

const memcpy: (to: number, from: number, bytes: number) => unknown = libc.func('memcpy', 'uintptr_t', [
  'uintptr_t',
  'uintptr_t',
  'size_t',
])

/** Bytes that a library owns: a mapping, or a buffer of its own. Every access is checked against their number. */
export class ForeignBytes {
  readonly address: number
  readonly length: number
  #gone = false

  constructor(address: number, length: number) {
    if (!Number.isSafeInteger(address) || address <= 0) throw new RangeError(`no usable address: ${address}`)
    this.address = address
    this.length = length
  }

  /** Copies `into.length` bytes from `offset` on. Throws RangeError when they are not all there. */
  read(offset: number, into: Uint8Array): void {
    this.#check(offset, into.length)
    memcpy(addressOf(into, 0, into.length), this.address + offset, into.length)
  }

  /** Copies all of `from` to `offset`. Throws RangeError when it does not fit. */
  write(offset: number, from: Uint8Array): void {
    this.#check(offset, from.length)
    memcpy(this.address + offset, addressOf(from, 0, from.length), from.length)
  }

  /** To be called before the memory goes: from then on every access throws. */
  forget(): void {
    this.#gone = true
  }

  #check(offset: number, length: number): void {
    if (this.#gone) throw new RangeError('these bytes have been given back')
    if (!Number.isInteger(offset) || offset < 0 || offset + length > this.length) {
      throw new RangeError(`bytes [${offset}, ${offset + length}) are not inside ${this.length} foreign bytes`)
    }
  }
}
