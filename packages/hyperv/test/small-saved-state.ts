import { readFileSync, writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { encodePartitionState, type MadeSavedState, type MadeVp, writeSavedState } from '@ullage/lab'

const FRAME_BYTES = 4096

/** The content of a frame of a small saved state: by its number nothing, a pattern, text or noise. */
export function smallPage(pfn: number): Uint8Array {
  const page = new Uint8Array(FRAME_BYTES)
  if (pfn % 4 === 1) page.fill(pfn & 0xff)
  if (pfn % 4 === 2) Buffer.from(page.buffer).fill(`frame ${pfn}; `)
  if (pfn % 4 === 3) for (let i = 0; i < FRAME_BYTES; i++) page[i] = Math.imul(i + pfn, 2_654_435_761) >>> 13
  return page
}

export const SMALL_VP: MadeVp = {
  index: 0,
  general: Array.from({ length: 18 }, (_, i) => 0x1000n + BigInt(i)),
  control: [0x8005_0033n, 0xc2n, 0x3000n, 0xc4n, 0xc8n, 0xd01n],
  segments: Array.from({ length: 8 }, (_, i) => [0x100n * BigInt(i), 0x200 + i, 0x300 + i, 0xa090 + i] as const),
  idtr: [0xfff, 0xaaaan],
  gdtr: [0x7f, 0xbbbbn],
  kernelGsBase: 0xdddn,
}

/** Two memory blocks, the second of no whole number of RamBlocks, and a hot-added one. */
export const SMALL_BLOCKS = [
  { start: 0, count: 512 },
  { start: 0x10_0000, count: 300 },
  { start: 0x20_0000, count: 256, isHotAdded: true },
].map((block) => ({
  ...block,
  read(pfn: number, into: Uint8Array): void {
    for (let at = 0; at < into.length; at += FRAME_BYTES) into.set(smallPage(pfn + at / FRAME_BYTES), at)
  },
}))

/** Writes it and returns its path. */
export function smallSavedState(path: string, changes: Partial<MadeSavedState> = {}): string {
  const partitionState = encodePartitionState([SMALL_VP])
  writeSavedState(path, { blocks: SMALL_BLOCKS, form: 'pages', partitionState, ...changes })
  return path
}

/** Changes bytes of the file at `path`. */
export function edit(path: string, change: (bytes: Buffer) => void): string {
  const bytes = readFileSync(path)
  change(bytes)
  writeFileSync(path, bytes)
  return path
}

/**
 * Gives every header, object table entry, key table and key that can be found its right checksum again, so that what was
 * changed is looked at and not refused for its sum.
 */
export function resum(bytes: Buffer): void {
  const at = (offset: number, size: number, checksum: number): void => {
    if (offset < 0 || offset + size > bytes.length) return
    bytes.writeUInt32LE(0, offset + checksum)
    bytes.writeUInt32LE(crc32(bytes.subarray(offset, offset + size)), offset + checksum)
  }
  at(0, 46, 4)
  at(4096, 46, 4)
  if (bytes.length < 8200) return
  for (let entry = 8200; entry + 18 <= 12288 && entry + 18 <= bytes.length; entry += 18) {
    at(entry, 18, 1)
    if (bytes[entry] === 2)
      resumKeys(bytes, Number(bytes.readBigUInt64LE(entry + 5)), bytes.readUInt32LE(entry + 13), at)
  }
  if (bytes.length < 34) return
  const log = Number(bytes.readBigUInt64LE(26))
  if (log + 34 > bytes.length) return
  at(log, 34, 4)
  for (let i = 0; i < Math.min(10, bytes.readUInt32LE(log + 8)); i++) at(log + 34 + i * 28, 28, 20)
}

function resumKeys(
  bytes: Buffer,
  table: number,
  size: number,
  at: (offset: number, size: number, checksum: number) => void,
): void {
  if (table + size > bytes.length || size < 10) return
  at(table, 10, 6)
  for (let key = table + 10; key + 21 <= table + size; ) {
    const keyBytes = bytes.readUInt32LE(key + 2)
    if (keyBytes < 21 || key + keyBytes > table + size) return
    const type = bytes[key] as number
    const name = 21 + (bytes[key + 20] as number)
    const isApart = ((bytes[key + 1] as number) & 1) !== 0
    const fixed = isApart ? 12 : { 3: 8, 4: 8, 5: 8, 8: 4, 9: 12 }[type]
    const value = fixed ?? (name + 4 <= keyBytes ? 4 + bytes.readUInt32LE(key + name) : 0)
    if (type !== 1 && name + value <= keyBytes) at(key, name + value, 12)
    key += keyBytes
  }
}
