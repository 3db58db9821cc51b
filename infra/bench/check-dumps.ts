import { type KdumpFrames, makedumpfile, readKdumpFrames } from '@ullage/lab'
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
 * Throws unless our dump holds the same frames with content as makedumpfile's of the same memory, and unless makedumpfile
 * opens it and finds the kernel's log.
 */
export async function checkDump(ours: string, theirs: string): Promise<void> {
  const [mine, their] = [ours, theirs].map((path) => contentOf(readKdumpFrames(path))) as [Uint8Array, Uint8Array]
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

/** One bit a frame: stored, and not as zeros. */
function contentOf({ stored, zero }: KdumpFrames): Uint8Array {
  return stored.map((byte, i) => byte & ~(zero[i] ?? 0))
}

function countBits(bitmap: Uint8Array): number {
  let count = 0
  for (let byte of bitmap) for (; byte !== 0; byte &= byte - 1) count++
  return count
}
