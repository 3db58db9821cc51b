const zeros = new Uint8Array(262_144)

/**
 * True when the `length` bytes of `bytes` from `offset` on, at most one page, are zeros. Makes no view of them. The first
 * and the last byte decide for most pages.
 */
export function isZeroPage(bytes: Buffer, offset: number, length: number): boolean {
  return (
    bytes[offset] === 0 &&
    bytes[offset + length - 1] === 0 &&
    bytes.compare(zeros, 0, length, offset, offset + length) === 0
  )
}

/** The same bytes as a Buffer, which compares parts of itself. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
