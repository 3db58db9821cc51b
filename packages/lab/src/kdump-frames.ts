import { closeSync, openSync, readSync } from 'node:fs'
import { LabError } from './lab-error.ts'

/** What a kdump-compressed file holds of each frame. */
export interface KdumpFrames {
  readonly dumpLevel: number
  readonly maxMapnr: number
  /** One bit a frame, least significant first: which frames exist. */
  readonly present: Uint8Array
  /** One bit a frame: which are stored. */
  readonly stored: Uint8Array
  /** One bit a frame: which share the one stored page of zeros. */
  readonly zero: Uint8Array
}

const SIGNATURE = 'KDUMP   '
const DESCRIPTOR_BYTES = 24

/**
 * Reads both bitmaps and all page descriptors of a kdump-compressed file of its own accord (makedumpfile IMPLEMENTATION,
 * diskdump_mod.h), so that nothing of this project judges itself. Descriptors may share pages of any content; those of zeros
 * that stand as they are count as pages of zeros. Throws LabError for any other file, and where zeros are shared twice.
 */
export function readKdumpFrames(path: string): KdumpFrames {
  const fd = openSync(path, 'r')
  try {
    const read = (sizeBytes: number, at: number): Buffer => {
      const bytes = Buffer.alloc(sizeBytes)
      const count = readSync(fd, bytes, 0, sizeBytes, at)
      if (count !== sizeBytes) throw new LabError(`${path}: expected ${sizeBytes} bytes at ${at}, found ${count}`)
      return bytes
    }
    const header = read(464, 0)
    const signature = header.toString('latin1', 0, 8)
    if (signature !== SIGNATURE) throw new LabError(`${path}: expected a kdump file, it begins with ${signature}`)
    const blockBytes = header.readUInt32LE(428)
    const subHeader = read(104, blockBytes)
    const bitmapAt = (1 + header.readUInt32LE(432)) * blockBytes
    const bitmapBytes = (header.readUInt32LE(436) / 2) * blockBytes
    const maxMapnr = Number(subHeader.readBigUInt64LE(96))
    const present = read(bitmapBytes, bitmapAt)
    const stored = read(bitmapBytes, bitmapAt + bitmapBytes)
    const pfns = [...setBits(stored, maxMapnr)]
    const descriptors = read(pfns.length * DESCRIPTOR_BYTES, bitmapAt + 2 * bitmapBytes)
    const offsets = pfns.map((_, i) => Number(descriptors.readBigInt64LE(i * DESCRIPTOR_BYTES)))
    const zero = new Uint8Array(bitmapBytes)
    const zeros = sharedOffsets(offsets).filter((offset) => {
      const index = offsets.indexOf(offset)
      const [size, flags] = [8, 12].map((field) => descriptors.readUInt32LE(index * DESCRIPTOR_BYTES + field))
      return size === blockBytes && flags === 0 && read(blockBytes, offset).every((byte) => byte === 0)
    })
    if (zeros.length > 1) throw new LabError(`${path}: pages of zeros are shared at ${zeros.join(', ')}`)
    pfns.forEach((pfn, i) => {
      if (offsets[i] === zeros[0]) zero[pfn >>> 3] = (zero[pfn >>> 3] as number) | (1 << (pfn & 7))
    })
    return { dumpLevel: subHeader.readInt32LE(8), maxMapnr, present, stored, zero }
  } finally {
    closeSync(fd)
  }
}

/** Whether the bitmap has the bit of this frame. */
export function hasBit(bitmap: Uint8Array, pfn: number): boolean {
  return (((bitmap[pfn >>> 3] ?? 0) >>> (pfn & 7)) & 1) === 1
}

function* setBits(bitmap: Uint8Array, count: number): Generator<number> {
  for (let pfn = 0; pfn < count; pfn++) if (hasBit(bitmap, pfn)) yield pfn
}

/** The offsets that more than one descriptor has. */
function sharedOffsets(offsets: readonly number[]): number[] {
  const seen = new Set<number>()
  const shared = new Set<number>()
  for (const offset of offsets) (seen.has(offset) ? shared : seen).add(offset)
  return [...shared]
}
