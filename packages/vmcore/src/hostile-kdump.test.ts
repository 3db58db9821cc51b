import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { offsetOf, new_utsname } from '@ullage/layout'
import { describe, expect, test } from 'vitest'
import {
  BITMAP_1,
  BITMAP_2,
  DATA,
  DESCRIPTORS,
  copyOf,
  dir,
  errorOf,
  type Harm,
  PAGE,
  readAll,
  STORED,
} from '../test/good-files.ts'
import { decompress, encodePage } from '../test/page-codecs.ts'
import { disk_dump_header, kdump_sub_header, page_desc } from './kdump-layout.ts'
import { openVmcore } from './open-vmcore.ts'
import { verifyVmcore } from './verify-vmcore.ts'
import type { VmcoreErrorCode } from './vmcore-error.ts'
import { pageFlags } from './vmcore-writer.ts'

const header = (field: keyof typeof disk_dump_header.offsets): number => offsetOf(disk_dump_header, field)
const sub = (field: keyof typeof kdump_sub_header.offsets): number => PAGE + offsetOf(kdump_sub_header, field)
const desc = (index: number, field: 'offset' | 'size' | 'flags'): number =>
  DESCRIPTORS + index * page_desc.size + offsetOf(page_desc, field)
const MACHINE = offsetOf(disk_dump_header, 'utsname') + offsetOf(new_utsname, 'machine')

const kdumpHarms: readonly (readonly [string, VmcoreErrorCode, Harm])[] = [
  ['a version of the future', 'UNSUPPORTED', (b) => b.writeInt32LE(7, header('header_version'))],
  ['a big-endian header', 'UNSUPPORTED', (b) => b.writeInt32BE(6, header('header_version'))],
  ['a negative version', 'UNSUPPORTED', (b) => b.writeInt32LE(-6, header('header_version'))],
  ['another machine', 'UNSUPPORTED', (b) => b.write('i686\0\0', MACHINE)],
  ['no block size', 'CORRUPT', (b) => b.writeInt32LE(0, header('block_size'))],
  ['an odd block size', 'CORRUPT', (b) => b.writeInt32LE(4097, header('block_size'))],
  ['a huge block size', 'CORRUPT', (b) => b.writeInt32LE(0x4000_0000, header('block_size'))],
  ['a negative block size', 'CORRUPT', (b) => b.writeInt32LE(-4096, header('block_size'))],
  ['a negative sub header', 'CORRUPT', (b) => b.writeInt32LE(-1, header('sub_hdr_size'))],
  ['a huge sub header', 'TRUNCATED', (b) => b.writeInt32LE(0x7fff_ffff, header('sub_hdr_size'))],
  ['no bitmap', 'CORRUPT', (b) => b.writeUInt32LE(0, header('bitmap_blocks'))],
  ['a bitmap too small', 'CORRUPT', (b) => b.writeUInt32LE(1, header('bitmap_blocks'))],
  ['a huge bitmap', 'TRUNCATED', (b) => b.writeUInt32LE(0xffff_ffff, header('bitmap_blocks'))],
  ['one bitmap less than it needs', 'CORRUPT', (b) => b.writeUInt32LE(3, header('bitmap_blocks'))],
  ['more frames than any machine', 'CORRUPT', (b) => b.writeBigUInt64LE(2n ** 63n, sub('max_mapnr_64'))],
  ['more frames than bits', 'CORRUPT', (b) => b.writeBigUInt64LE(2n ** 39n, sub('max_mapnr_64'))],
  ['fewer frames than bits', 'CORRUPT', (b) => b.writeBigUInt64LE(40_005n, sub('max_mapnr_64'))],
  ['a part of a split dump', 'UNSUPPORTED', (b) => b.writeInt32LE(1, sub('split'))],
  ['notes outside the file', 'TRUNCATED', (b) => b.writeBigInt64LE(2n ** 40n, sub('offset_note'))],
  ['notes before the file', 'CORRUPT', (b) => b.writeBigInt64LE(-1n, sub('offset_note'))],
  ['huge notes', 'CORRUPT', (b) => b.writeBigUInt64LE(2n ** 62n, sub('size_note'))],
  ['notes that break off', 'CORRUPT', (b) => b.writeUInt32LE(0xffff_fff0, PAGE + 104 + 4)],
  ['vmcoreinfo outside the file', 'TRUNCATED', (b) => b.writeBigInt64LE(2n ** 50n, sub('offset_vmcoreinfo'))],
  ['vmcoreinfo before the file', 'CORRUPT', (b) => b.writeBigInt64LE(-5n, sub('offset_vmcoreinfo'))],
  ['huge vmcoreinfo', 'CORRUPT', (b) => b.writeBigUInt64LE(2n ** 40n, sub('size_vmcoreinfo'))],
  [
    'erase info before the file',
    'CORRUPT',
    (b) => {
      b.writeBigInt64LE(-5n, sub('offset_eraseinfo'))
      b.writeBigUInt64LE(1n, sub('size_eraseinfo'))
    },
  ],
  ['a stored frame that is not present', 'CORRUPT', (b) => b.writeUInt8(0, BITMAP_1 + 1)],
  ['one stored frame more than descriptors', 'CORRUPT', (b) => b.writeUInt8(0b1000_0111, BITMAP_2 + 1)],
  ['a bit beyond the last frame', 'CORRUPT', (b) => b.writeUInt8(0x80, BITMAP_1 + 5001)],
  ['a page before the file', 'CORRUPT', (b) => b.writeBigInt64LE(-4096n, desc(3, 'offset'))],
  ['a page that was never written', 'CORRUPT', (b) => b.writeBigInt64LE(0n, desc(3, 'offset'))],
  ['a page among the descriptors', 'CORRUPT', (b) => b.writeBigInt64LE(BigInt(DATA - 1), desc(3, 'offset'))],
  ['a page beyond the file', 'TRUNCATED', (b) => b.writeBigInt64LE(2n ** 40n, desc(3, 'offset'))],
  ['a page beyond all numbers', 'CORRUPT', (b) => b.writeBigInt64LE(2n ** 62n, desc(3, 'offset'))],
  ['a page of no bytes', 'CORRUPT', (b) => b.writeUInt32LE(0, desc(3, 'size'))],
  ['a page larger than a page', 'CORRUPT', (b) => b.writeUInt32LE(4097, desc(3, 'size'))],
  ['a huge page', 'CORRUPT', (b) => b.writeUInt32LE(0xffff_ffff, desc(3, 'size'))],
  ['a raw page of another size', 'CORRUPT', (b) => b.writeUInt32LE(4095, desc(0, 'size'))],
  ['an unknown compression', 'UNSUPPORTED', (b) => b.writeUInt32LE(0x40, desc(3, 'flags'))],
  ['two compressions at once', 'UNSUPPORTED', (b) => b.writeUInt32LE(0x21, desc(3, 'flags'))],
  ['another compression', 'CORRUPT', (b) => b.writeUInt32LE(0x2, desc(2, 'flags'))],
]

describe('kdump with', () => {
  test.each(kdumpHarms)('%s', async (_, code, harm) => {
    const bytes = copyOf('kdump')
    harm(bytes)
    const error = await errorOf(bytes)
    expect(error.code).toBe(code)
    expect(error.message).not.toMatch(/undefined|NaN|\.$/)
  })

  test('the first bad page named, and where it stands', async () => {
    const bytes = copyOf('kdump')
    bytes.writeUInt32LE(9000, desc(10, 'size'))
    expect((await errorOf(bytes)).message).toMatch(/^pfn 0x9c42 at offset \d+ has 9000 bytes/)
  })
})

/** Bitmap 2 of frames 2 to 10 and 40001 to 40008 without some of them. */
const clear =
  (...pfns: number[]): Harm =>
  (b) => {
    for (const pfn of pfns)
      b.writeUInt8(b.readUInt8(BITMAP_2 + (pfn >>> 3)) & ~(1 << (pfn & 7)), BITMAP_2 + (pfn >>> 3))
  }

describe('kdump whose descriptors would belong to other frames', () => {
  test.each([
    ['the first frame', clear(2)],
    ['a frame in between', clear(6)],
    ['the last frame', clear(40_008)],
    ['half of them', clear(2, 4, 6, 8, 10, 40_002, 40_004, 40_006)],
    ['all but one', clear(2, 3, 4, 5, 6, 7, 8, 9, 10, 40_001, 40_002, 40_003, 40_004, 40_005, 40_006, 40_007)],
  ] as const)('bitmap 2 without %s', async (_, harm) => {
    const bytes = copyOf('kdump')
    harm(bytes)
    const path = join(dir, 'shifted')
    writeFileSync(path, bytes)
    await using vmcore = await openVmcore(path, { decompress })
    const end = DESCRIPTORS + vmcore.info.storedFrames * page_desc.size
    await expect(verifyVmcore(vmcore)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(
        `has ${vmcore.info.storedFrames} frames stored, so page data is expected at offset ${end}, the first is found at`,
      ),
    })
  })

  test('bitmap 2 with a frame more', async () => {
    const bytes = copyOf('kdump')
    bytes.writeUInt8(bytes.readUInt8(BITMAP_2) | 1, BITMAP_2)
    expect(await errorOf(bytes)).toMatchObject({ code: 'CORRUPT' })
  })

  test('no frame in bitmap 2: what is left is counted', async () => {
    const bytes = copyOf('kdump')
    bytes.fill(0, BITMAP_2, DESCRIPTORS)
    expect(await readAll(bytes)).toMatchObject({ pages: 0, trailingBytes: bytes.length - DESCRIPTORS })
  })
})

describe('kdump whose data starts with a page that no frame uses', () => {
  const withGap = (gap: Buffer): Buffer => {
    const bytes = copyOf('kdump')
    for (let i = 0; i < STORED; i++) {
      const at = desc(i, 'offset')
      bytes.writeBigInt64LE(bytes.readBigInt64LE(at) + BigInt(gap.length), at)
    }
    return Buffer.concat([bytes.subarray(0, DATA), gap, bytes.subarray(DATA)])
  }

  test('of zeros, as makedumpfile and QEMU always write it', async () => {
    expect(await readAll(withGap(Buffer.alloc(PAGE)))).toMatchObject({ pages: STORED, trailingBytes: 0 })
  })

  test.each([
    ['of something else', Buffer.alloc(PAGE, 1)],
    ['of another size', Buffer.alloc(PAGE - 1)],
    ['of two pages', Buffer.alloc(2 * PAGE)],
    ['of one descriptor', Buffer.alloc(page_desc.size)],
  ])('%s', async (_, gap) => {
    const error = await errorOf(withGap(gap))
    expect(error.code).toBe('CORRUPT')
    expect(error.message).toContain(`expected at offset ${DATA}, the first is found at offset ${DATA + gap.length}`)
  })

  test('of zeros, and no frame at all', async () => {
    const bytes = withGap(Buffer.alloc(PAGE)).subarray(0, DATA + PAGE)
    bytes.fill(0, BITMAP_2, DESCRIPTORS)
    const moved = Buffer.concat([bytes.subarray(0, DESCRIPTORS), bytes.subarray(DATA)])
    expect(await readAll(moved)).toMatchObject({ pages: 0, trailingBytes: 0 })
  })
})

describe('kdump with a compressed page that ends before its size', () => {
  const page = Buffer.alloc(PAGE, 'q')
  /** The second stored frame, pfn 3, gets the given bytes at the end of the file. */
  const withPage = (data: Uint8Array, flags: number): Buffer => {
    const bytes = copyOf('kdump')
    bytes.writeBigInt64LE(BigInt(bytes.length), desc(1, 'offset'))
    bytes.writeUInt32LE(data.length, desc(1, 'size'))
    bytes.writeUInt32LE(flags, desc(1, 'flags'))
    return Buffer.concat([bytes, data])
  }

  test.each(['zstd', 'lzo', 'snappy', 'zlib'] as const)('%s', async (compression) => {
    const piece = Buffer.from(encodePage(page, compression).bytes)
    const flags = pageFlags[compression]
    expect(await readAll(withPage(piece, flags))).toMatchObject({ pages: STORED })
    for (const rest of [Buffer.alloc(1), Buffer.alloc(40), Buffer.from('JUNK'), piece]) {
      const bytes = withPage(Buffer.concat([piece, rest]), flags)
      const error = await errorOf(bytes)
      expect(error.code).toBe('CORRUPT')
      const at = bytes.length - piece.length - rest.length
      expect(error.message).toMatch(
        new RegExp(
          `^pfn 0x3 at offset ${at} does not decompress \\(${compression}\\): ${piece.length + rest.length} bytes`,
        ),
      )
    }
  })

  test('zstd: two frames that make one page, and one that is skipped', async () => {
    const half = Buffer.from(encodePage(page.subarray(0, PAGE / 2), 'zstd').bytes)
    const whole = Buffer.from(encodePage(page, 'zstd').bytes)
    const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4])
    for (const data of [Buffer.concat([half, half]), Buffer.concat([whole, skipped])]) {
      expect(await errorOf(withPage(data, pageFlags.zstd))).toMatchObject({ code: 'CORRUPT' })
    }
  })
})
