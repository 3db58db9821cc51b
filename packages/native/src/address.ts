import { koffi } from './koffi.ts'

/**
 * Where the memory of a buffer lies. V8 never moves the memory of an ArrayBuffer or SharedArrayBuffer; when one is
 * detached its views have length 0, which the bounds check below refuses before the address is used.
 */
const bases = new WeakMap<ArrayBufferLike, number>()

/** Where no bytes are used: not the null pointer, which an empty buffer has and a library may trip over. */
const noBytes = new Uint8Array(new ArrayBuffer(64))
let nowhere = 0

/**
 * Address of byte `offset` of `bytes`, of which `length` bytes are going to be used. As a number, because passing one
 * costs a foreign call half as much as passing a subarray; exact, since user space ends below 2^53. The caller keeps
 * `bytes` alive until the call has returned. Throws RangeError when [offset, offset + length) is not inside `bytes`.
 */
export function addressOf(bytes: Uint8Array, offset: number, length: number): number {
  if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length) || !Number.isInteger(offset + length)) {
    throw new RangeError(`bytes [${offset}, ${offset + length}) are not inside a buffer of ${bytes.length} bytes`)
  }
  if (length === 0) {
    nowhere ||= Number(koffi().address(noBytes))
    return nowhere
  }
  const buffer = bytes.buffer
  let base = bases.get(buffer)
  if (base === undefined) {
    const address = Number(koffi().address(buffer))
    if (!Number.isSafeInteger(address) || address <= 0)
      throw new RangeError(`no usable address for a buffer: ${address}`)
    base = address
    bases.set(buffer, base)
  }
  return base + bytes.byteOffset + offset
}
