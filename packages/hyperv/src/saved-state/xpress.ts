/**
 * Decompresses Plain LZ77, which Windows calls XPRESS ([MS-XCA] 2.3, 2.4): 32 flags at a time, a literal byte for each 0, a
 * match of 16 bits or more for each 1. Reads nothing outside `input` and writes nothing outside `into`.
 *
 * Returns how many bytes of `input` it took to fill `into`, or -1 when that cannot be: `input` is too short, or a match
 * reaches before the beginning or beyond the end.
 */
export function decompressXpress(input: Uint8Array, into: Uint8Array): number {
  const size = into.length
  const end = input.length
  let at = 0
  let out = 0
  let flags = 0
  let left = 0
  /** Where the byte stands whose upper half is the next length, or -1. */
  let half = -1
  while (out < size) {
    if (left === 0) {
      if (at + 4 > end) return -1
      flags =
        (input[at] as number) |
        ((input[at + 1] as number) << 8) |
        ((input[at + 2] as number) << 16) |
        ((input[at + 3] as number) << 24)
      at += 4
      left = 32
    }
    left--
    if (((flags >>> left) & 1) === 0) {
      if (at >= end) return -1
      into[out++] = input[at++] as number
      continue
    }
    if (at + 2 > end) return -1
    const match = (input[at] as number) | ((input[at + 1] as number) << 8)
    at += 2
    const distance = (match >>> 3) + 1
    let length = match & 7
    if (length === 7) {
      if (half === -1) {
        if (at >= end) return -1
        length = (input[at] as number) & 15
        half = at++
      } else {
        length = (input[half] as number) >>> 4
        half = -1
      }
      if (length === 15) {
        if (at >= end) return -1
        length = input[at++] as number
        if (length === 255) {
          if (at + 2 > end) return -1
          length = (input[at] as number) | ((input[at + 1] as number) << 8)
          at += 2
          if (length === 0) {
            if (at + 4 > end) return -1
            length = new DataView(input.buffer, input.byteOffset + at, 4).getUint32(0, true)
            at += 4
          }
          if (length < 15 + 7) return -1
          length -= 15 + 7
        }
        length += 15
      }
      length += 7
    }
    length += 3
    if (distance > out || length > size - out) return -1
    // Byte by byte: a match may reach into what it writes.
    for (const stop = out + length; out < stop; out++) into[out] = into[out - distance] as number
  }
  return at
}
