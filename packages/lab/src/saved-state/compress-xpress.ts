const MAX_DISTANCE = 8192
const HASH_BITS = 13

/** Compresses with Plain LZ77 ([MS-XCA] 2.3), greedily: for tests of what decompresses it. */
export function compressXpress(input: Uint8Array): Uint8Array {
  const out: number[] = [0, 0, 0, 0]
  const heads = new Int32Array(1 << HASH_BITS).fill(-1)
  let flagsAt = 0
  let flags = 0
  let count = 0
  let half = -1
  const writeFlags = (): void => {
    for (let i = 0; i < 4; i++) out[flagsAt + i] = (flags >>> (8 * i)) & 0xff
  }
  const flag = (bit: number): void => {
    flags = (flags << 1) | bit
    if (++count < 32) return
    writeFlags()
    flagsAt = out.length
    out.push(0, 0, 0, 0)
    flags = 0
    count = 0
  }
  const literal = (at: number): void => {
    out.push(input[at] as number)
    flag(0)
  }
  const match = (distance: number, length: number): void => {
    const short = Math.min(length - 3, 7)
    const word = ((distance - 1) << 3) | short
    out.push(word & 0xff, word >>> 8)
    let rest = length - 3 - 7
    if (short === 7) {
      const nibble = Math.min(rest, 15)
      if (half === -1) {
        half = out.length
        out.push(nibble)
      } else {
        out[half] = (out[half] as number) | (nibble << 4)
        half = -1
      }
      rest -= 15
      if (nibble === 15) {
        if (rest < 255) out.push(rest)
        else {
          const all = length - 3
          out.push(255)
          if (all < 1 << 16) out.push(all & 0xff, all >>> 8)
          else out.push(0, 0, all & 0xff, (all >>> 8) & 0xff, (all >>> 16) & 0xff, all >>> 24)
        }
      }
    }
    flag(1)
  }
  for (let at = 0; at < input.length; ) {
    if (at + 3 > input.length) {
      literal(at++)
      continue
    }
    const key = hash(input, at)
    const before = heads[key] as number
    heads[key] = at
    const length = before === -1 || at - before > MAX_DISTANCE ? 0 : common(input, before, at)
    if (length < 3) literal(at++)
    else {
      match(at - before, length)
      at += length
    }
  }
  // Flags that nothing needs are ones: the decompressor stops where a match has no bytes.
  for (; count < 32; count++) flags = (flags << 1) | 1
  writeFlags()
  return Uint8Array.from(out)
}

function hash(input: Uint8Array, at: number): number {
  const word = (input[at] as number) | ((input[at + 1] as number) << 8) | ((input[at + 2] as number) << 16)
  return Math.imul(word, 0x9e37_79b1) >>> (32 - HASH_BITS)
}

function common(input: Uint8Array, from: number, at: number): number {
  let length = 0
  while (at + length < input.length && input[from + length] === input[at + length]) length++
  return length
}
