import { addressOf } from './address.ts'
import { libc } from './foreign.ts'

const HUGE_BYTES = 2 * 1024 * 1024
/** Linux include/uapi/asm-generic/mman-common.h */
const MADV_HUGEPAGE = 14

let madvise: ((address: number, bytes: number, advice: number) => number) | undefined

/**
 * Asks the kernel for huge pages behind a buffer that has not been used yet: touching it for the first time then costs a
 * page fault for every 2 MiB instead of every 4 KiB. False where it gives none (no transparent huge pages, a small buffer):
 * the buffer is as good without.
 */
export function adviseHugePages(buffer: ArrayBufferLike): boolean {
  const bytes = new Uint8Array(buffer)
  const address = addressOf(bytes, 0, bytes.length)
  const start = Math.ceil(address / HUGE_BYTES) * HUGE_BYTES
  const end = Math.floor((address + bytes.length) / HUGE_BYTES) * HUGE_BYTES
  if (end <= start) return false
  madvise ??= libc.func('madvise', 'int', ['uintptr_t', 'size_t', 'int'])
  return madvise(start, end - start, MADV_HUGEPAGE) === 0
}
