const MAGIC = 0xfd2f_b528
const SINGLE_SEGMENT = 0x20
const CHECKSUM = 0x04
/** Bytes of the fields that two bits of the frame header descriptor each say the width of. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const
const BLOCK_HEADER_BYTES = 3
const RLE = 1

/**
 * Bytes of the zstd frame that src[offset, offset + length) starts with, told by its headers alone, or 0 when it starts
 * with none or its headers leave those bytes. A walk over the blocks, of which a page has one or few: the library's own
 * costs a second foreign call for each page.
 * Ref: RFC 8878, 3.1.1.
 */
export function zstdFrameBytes(src: Uint8Array, offset: number, length: number): number {
  const end = offset + length
  // The smallest header: magic number, descriptor, one more byte.
  if (length < 6 || end > src.length) return 0
  const magic =
    (src[offset] as number) |
    ((src[offset + 1] as number) << 8) |
    ((src[offset + 2] as number) << 16) |
    ((src[offset + 3] as number) << 24)
  if (magic >>> 0 !== MAGIC) return 0
  const descriptor = src[offset + 4] as number
  const single = (descriptor & SINGLE_SEGMENT) !== 0
  const sizeFlag = descriptor >>> 6
  // One segment has no window descriptor, and always a content size.
  const sizes = single && sizeFlag === 0 ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] as number)
  let at = offset + 5 + (single ? 0 : 1) + (DICTIONARY_ID_BYTES[descriptor & 3] as number) + sizes
  for (let last = false; !last; ) {
    if (at + BLOCK_HEADER_BYTES > end) return 0
    const header = (src[at] as number) | ((src[at + 1] as number) << 8) | ((src[at + 2] as number) << 16)
    last = (header & 1) !== 0
    at += BLOCK_HEADER_BYTES + (((header >>> 1) & 3) === RLE ? 1 : header >>> 3)
  }
  if ((descriptor & CHECKSUM) !== 0) at += 4
  return at > end ? 0 : at - offset
}
