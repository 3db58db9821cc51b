const WORD = 8

/**
 * True when `bytes[offset, offset + length)` holds zeros only. `words` is a view of the same buffer from its start;
 * `offset` and `length` are multiples of 8. The first word decides for most pages.
 */
export function isZeroPage(bytes: Buffer, words: Int32Array, zeros: Buffer, offset: number, length: number): boolean {
  if (words[offset >>> 2] !== 0 || words[(offset + length - WORD) >>> 2] !== 0) return false
  return bytes.compare(zeros, 0, length, offset, offset + length) === 0
}
