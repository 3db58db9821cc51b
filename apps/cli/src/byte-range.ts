import { UsageError } from './usage-error.ts'

/** A half-open range of guest physical addresses, in bytes. */
export interface ByteRange {
  readonly startBytes: number
  readonly endBytes: number
}

const NUMBER = /^(0x[0-9a-f]+|[0-9]+)$/i

/** `text` as START-END, both hex with 0x or decimal. Throws UsageError. */
export function parseByteRange(text: string): ByteRange {
  const [start = '', end = '', ...rest] = text.split('-')
  const [startBytes, endBytes] = [toBytes(start), toBytes(end)]
  if (rest.length === 0 && startBytes < endBytes) return { startBytes, endBytes }
  throw new UsageError(
    `--range: expected START-END in bytes with START below END (such as 0x1000000-0x2000000), found ${JSON.stringify(text)}`,
  )
}

/** NaN for what is no number of bytes, so that no comparison with it holds. */
function toBytes(text: string): number {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : Number.NaN
}
