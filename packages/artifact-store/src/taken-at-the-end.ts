import { dirname } from 'node:path'
import type { Delivery } from './delivery.ts'
import { sealedBytes } from './sealed-format.ts'

/** What bringing a finished file of `plainBytes` to its place takes besides that file, in bytes, and in which folder. */
export function takenAtTheEnd(
  delivery: Delivery,
  plainBytes: number,
): { readonly folder: string; readonly bytes: number } | undefined {
  return delivery.kind === 'seal' ? { folder: dirname(delivery.path), bytes: sealedBytes(plainBytes) } : undefined
}
