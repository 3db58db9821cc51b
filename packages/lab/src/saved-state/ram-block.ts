import { compressXpress } from './compress-xpress.ts'

const PAGE_BYTES = 4096

/** `raw`: as it is. `pages`: a record for each page. `whole`: one XPRESS stream. */
export type RamBlockForm = 'raw' | 'pages' | 'whole'

/** The value of a RamBlock that holds `block`. */
export function encodeRamBlock(block: Uint8Array, form: RamBlockForm): Uint8Array {
  if (form === 'raw') return block
  const packed = form === 'whole' ? compressXpress(block) : pageRecords(block)
  // A block that does not become smaller is kept as it is.
  return packed.length < block.length ? packed : block
}

function pageRecords(block: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  const count = block.length / PAGE_BYTES
  for (let i = 0; i < count; ) {
    const pattern = patternOf(pageAt(block, i))
    if (pattern) {
      let end = i
      do end++
      while (end < count && isEqual(patternOf(pageAt(block, end)), pattern))
      parts.push(
        end === i + 1
          ? Buffer.concat([words(0xffff_fffe), pattern])
          : Buffer.concat([words(0xffff_fffd), pattern, words(end - i)]),
      )
      i = end
      continue
    }
    const page = pageAt(block, i++)
    const packed = compressXpress(page)
    parts.push(...(packed.length < PAGE_BYTES ? [words(packed.length), packed] : [words(PAGE_BYTES), page]))
  }
  return Buffer.concat([...parts, words(0xffff_ffff)])
}

function pageAt(block: Uint8Array, index: number): Uint8Array {
  return block.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES)
}

function isEqual(found: Buffer | undefined, pattern: Buffer): boolean {
  return found?.equals(pattern) ?? false
}

/** The eight bytes that the page repeats, or undefined. */
function patternOf(page: Uint8Array): Buffer | undefined {
  const bytes = Buffer.from(page.buffer, page.byteOffset, page.length)
  return bytes.compare(bytes, 8, bytes.length, 0, bytes.length - 8) === 0 ? bytes.subarray(0, 8) : undefined
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => bytes.writeUInt32LE(value, i * 4))
  return bytes
}
