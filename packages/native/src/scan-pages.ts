import { addressOf } from './address.ts'
import { checkFd, checkOffset } from './checked-number.ts'
import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/uapi/linux/fs.h: _IOWR('f', 16, struct pm_scan_arg), PAGE_IS_*
const PAGEMAP_SCAN = 0xc060_6610
const SCAN_ARG_WORDS = 12
const REGION_WORDS = 3
const REGIONS = 1024
const FILE = 1n << 2n
const PRESENT = 1n << 3n
const SWAPPED = 1n << 4n
const PFNZERO = 1n << 5n

const EINTR = 4
const EPERM = 1
const ENOTTY = 25
const EINVAL = 22

const ioctl: (fd: number, request: number, argument: BigUint64Array) => number = libc.func('ioctl', 'int', [
  'int',
  'unsigned long',
  '_Inout_ uint64_t *',
])

/** Pages of a process that have content: neighbours that are alike, and present or swapped. Addresses in bytes. */
export interface PageRegion {
  readonly startBytes: number
  readonly endBytes: number
  readonly present: boolean
  readonly swapped: boolean
  /** Pages of a file or of shared anonymous memory, not private ones. */
  readonly ofFile: boolean
  /** The kernel's page of zeros, mapped by reading memory that was never written: no memory is behind it. */
  readonly zeroPage: boolean
}

/** One step of a scan: what was found from its start to `endBytes`, where the next one goes on. */
export interface PageScan {
  readonly regions: readonly PageRegion[]
  readonly endBytes: number
}

/**
 * Which pages of [startBytes, endBytes) of a process are present or swapped, by the PAGEMAP_SCAN ioctl on its
 * /proc/PID/pagemap (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst): ascending regions, 1024 at most a call; what lies
 * between them has no content. Undefined where the kernel has no such ioctl.
 *
 * The kernel answers "nothing" for a process that has ended as well: look afterwards whether it still lives. Throws a
 * system error.
 *
 * @param startBytes multiple of the page size, as is `endBytes`.
 */
export function scanPages(pagemapFd: number, startBytes: number, endBytes: number): PageScan | undefined {
  checkFd(pagemapFd)
  checkOffset('start', startBytes)
  checkOffset('end', endBytes)
  const found = new BigUint64Array(REGIONS * REGION_WORDS)
  const argument = new BigUint64Array(SCAN_ARG_WORDS)
  const bytes = new Uint8Array(found.buffer)
  argument[0] = BigInt(SCAN_ARG_WORDS * 8)
  argument[2] = BigInt(startBytes)
  argument[3] = BigInt(endBytes)
  argument[5] = BigInt(addressOf(bytes, 0, bytes.length))
  argument[6] = BigInt(REGIONS)
  argument[10] = PRESENT | SWAPPED
  argument[11] = PRESENT | SWAPPED | FILE | PFNZERO
  let count = ioctl(pagemapFd, PAGEMAP_SCAN, argument)
  while (count < 0) {
    const errno = lastErrno()
    if (errno === ENOTTY || errno === EPERM) return undefined
    if (errno !== EINTR) {
      const hint = errno === EINVAL ? ' (not multiples of the page size?)' : ''
      throw systemError('ioctl PAGEMAP_SCAN', errno, `fd ${pagemapFd}, [${startBytes}, ${endBytes})${hint}`)
    }
    count = ioctl(pagemapFd, PAGEMAP_SCAN, argument)
  }
  const regions: PageRegion[] = []
  for (let i = 0; i < count; i++) {
    const categories = found[i * REGION_WORDS + 2] as bigint
    regions.push({
      startBytes: Number(found[i * REGION_WORDS]),
      endBytes: Number(found[i * REGION_WORDS + 1]),
      present: (categories & PRESENT) !== 0n,
      swapped: (categories & SWAPPED) !== 0n,
      ofFile: (categories & FILE) !== 0n,
      zeroPage: (categories & PFNZERO) !== 0n,
    })
  }
  // walk_end stays where the kernel's own buffer of 512 regions was full, although it went on from there and found more
  // (fs/proc/task_mmu.c, do_pagemap_scan: seen on Linux 6.18): what it reports lies before where it got to.
  return { regions, endBytes: Math.max(Number(argument[4]), regions.at(-1)?.endBytes ?? 0) }
}
