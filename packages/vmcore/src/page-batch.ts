import { type PageBatch, pageFlags } from './vmcore-writer.ts'

const known: ReadonlySet<number> = new Set(Object.values(pageFlags))

/**
 * Checks what a caller hands to a writer: sizes that add up to the payload, known flags, raw pages of exactly
 * `pageBytes`. Throws RangeError: a wrong batch is the caller's bug and must not become a file.
 */
export function checkBatch(batch: PageBatch, pageBytes: number): void {
  const { count, sizes, flags, payload } = batch
  if (sizes.length < count || flags.length < count) {
    throw new RangeError(`a batch of ${count} pages has ${sizes.length} sizes and ${flags.length} flags`)
  }
  let total = 0
  for (let i = 0; i < count; i++) {
    const size = sizes[i] as number
    const flag = flags[i] as number
    if (!known.has(flag)) throw new RangeError(`page ${i} of the batch has unknown flags ${flag}`)
    if (size > pageBytes || (flag === pageFlags.none && size !== pageBytes && size !== 0)) {
      throw new RangeError(`page ${i} of the batch has ${size} bytes with flags ${flag}, a page has ${pageBytes}`)
    }
    total += size
  }
  if (total !== payload.length) {
    throw new RangeError(`the sizes of a batch add up to ${total} bytes, its payload has ${payload.length}`)
  }
}
