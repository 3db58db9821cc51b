import { type KdumpFrames, makedumpfile, type RamRegion, readKdumpFrames } from '@ullage/lab'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PAGE_BYTES = 4096
const GIB = 2 ** 30

/** Pages of content that a kdump file stores, in GiB: zeros and frames left out are none. */
export function contentGib(path: string): number {
  return (countBits(contentOf(readKdumpFrames(path))) * PAGE_BYTES) / GIB
}

/**
 * Throws unless our dump holds the same frames of guest RAM with content as makedumpfile's of the same memory, and unless
 * makedumpfile opens it and finds the kernel's log. QEMU dumps its firmware too, which is no guest RAM.
 */
export async function checkDump(ours: string, theirs: string, ram: readonly RamRegion[]): Promise<void> {
  const isRam = bitmapOf(ram)
  const [mine, their] = [ours, theirs].map((path) => {
    const content = contentOf(readKdumpFrames(path))
    return isRam.map((byte, i) => byte & (content[i] ?? 0))
  }) as [Uint8Array, Uint8Array]
  const missing = countBits(their.map((byte, i) => byte & ~(mine[i] ?? 0)))
  const added = countBits(mine.map((byte, i) => byte & ~(their[i] ?? 0)))
  if (missing > 0 || added > 0) {
    throw new Error(`${ours} lacks ${missing} frames with content that ${theirs} has, and has ${added} that it has not`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'ullage-bench-'))
  try {
    const log = join(folder, 'dmesg')
    const { status, stderr } = await makedumpfile(['--dump-dmesg', ours, log])
    if (status !== 0 || !readFileSync(log, 'latin1').includes('Linux version')) {
      throw new Error(`makedumpfile --dump-dmesg does not read ${ours} (status ${status}): ${stderr}`)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function bitmapOf(ram: readonly RamRegion[]): Uint8Array {
  const end = Math.max(...ram.map(({ gpaBytes, sizeBytes }) => gpaBytes + sizeBytes)) / PAGE_BYTES
  const bitmap = new Uint8Array(Math.ceil(end / 8))
  for (const { gpaBytes, sizeBytes } of ram) {
    for (let pfn = gpaBytes / PAGE_BYTES; pfn < (gpaBytes + sizeBytes) / PAGE_BYTES; pfn++) {
      bitmap[pfn >>> 3] = (bitmap[pfn >>> 3] ?? 0) | (1 << (pfn & 7))
    }
  }
  return bitmap
}

/** One bit a frame: stored, and not as zeros. */
function contentOf({ stored, zero }: KdumpFrames): Uint8Array {
  return stored.map((byte, i) => byte & ~(zero[i] ?? 0))
}

function countBits(bitmap: Uint8Array): number {
  let count = 0
  for (let byte of bitmap) for (; byte !== 0; byte &= byte - 1) count++
  return count
}
