import { offsetOf } from '@ullage/layout'
import { page_desc } from '../src/kdump-layout.ts'

const OFFSET = offsetOf(page_desc, 'offset')
const SIZE = offsetOf(page_desc, 'size')

/** Where the descriptors of a plain kdump file stand, in bytes, and how many they are. */
export interface DescriptorTable {
  readonly descriptors: number
  readonly count: number
}

/**
 * The same dump with the data of its pages in another order, as threads that append for themselves leave it: `order` names
 * every descriptor once, in the order that their pages then have. Where `share` is set, equal pages are stored once.
 */
export function rearranged(
  file: Buffer,
  { descriptors, count }: DescriptorTable,
  order: readonly number[],
  share = false,
): Buffer {
  const start = descriptors + count * page_desc.size
  const head = Buffer.from(file.subarray(0, start))
  const parts: Buffer[] = []
  const placed = new Map<string, number>()
  let position = start
  for (const index of order) {
    const at = descriptors + index * page_desc.size
    const from = Number(file.readBigInt64LE(at + OFFSET))
    const data = file.subarray(from, from + file.readUInt32LE(at + SIZE))
    // Pages of zeros share one already.
    const key = share ? data.toString('latin1') : String(from)
    const known = placed.get(key)
    if (known === undefined) {
      placed.set(key, position)
      parts.push(data)
    }
    head.writeBigInt64LE(BigInt(known ?? position), at + OFFSET)
    if (known === undefined) position += data.length
  }
  return Buffer.concat([head, ...parts])
}
