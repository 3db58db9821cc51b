import { readFileSync } from 'node:fs'

/**
 * Which frames a kdump-compressed file of makedumpfile's stores: its second bitmap. Reads the header of its own accord
 * (makedumpfile IMPLEMENTATION, struct disk_dump_header), so that nothing of this project judges itself.
 */
export function keptFrames(path: string): (pfn: number) => boolean {
  const file = readFileSync(path)
  const signature = file.toString('latin1', 0, 8)
  if (signature !== 'KDUMP   ') throw new Error(`expected the signature of a kdump file in ${path}, found ${signature}`)
  const blockBytes = file.readUInt32LE(428)
  const subHeaderBlocks = file.readUInt32LE(432)
  const bitmapBlocks = file.readUInt32LE(436)
  const second = (1 + subHeaderBlocks + bitmapBlocks / 2) * blockBytes
  return (pfn) => (((file[second + (pfn >>> 3)] ?? 0) >>> (pfn & 7)) & 1) === 1
}
