import { LayoutError } from './layout-error.ts'

/** `value` as a number. Throws LayoutError, naming `what`, when it is beyond 2^53 - 1 on either side. */
export function toSafeNumber(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new LayoutError(`${what} is ${value}, more than a number can hold exactly`)
  }
  return Number(value)
}

/**
 * The little-endian u64 at `offset` as a number, without a bigint, for loops over tables. The result is exact up to
 * 2^53 - 1; above that it is some number that is not a safe integer, so one comparison with a limit refuses it.
 */
export function readU64(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true)
}

/** Writes the safe integer `value`, not negative, as a little-endian u64. Throws LayoutError for anything else. */
export function writeU64(view: DataView, offset: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new LayoutError(`${value} is not a safe integer from 0`)
  view.setUint32(offset, value % 0x1_0000_0000, true)
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true)
}
