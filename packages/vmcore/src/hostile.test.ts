import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Elf64_Ehdr, Elf64_Phdr, encodeElfNote, offsetOf, new_utsname } from '@ullage/layout'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { decompress, encodePage } from '../test/page-codecs.ts'
import { temporaryFolder } from '../test/temporary-folder.ts'
import { type DumpFormat, fillByPfn, formats, writeDump } from '../test/write-dump.ts'
import {
  disk_dump_header,
  kdump_sub_header,
  MAX_SIZE_MDF_HEADER,
  makedumpfile_data_header,
  page_desc,
} from './kdump-layout.ts'
import { openVmcore } from './open-vmcore.ts'
import { type VerifySummary, verifyVmcore } from './verify-vmcore.ts'
import { VmcoreError, type VmcoreErrorCode } from './vmcore-error.ts'
import { pageFlags } from './vmcore-writer.ts'

const dir = temporaryFolder()
const PAGE = 4096
const present = [
  { start: 0, count: 20 },
  { start: 40_000, count: 9 },
]
const stored = [
  { start: 2, count: 9 },
  { start: 40_001, count: 8 },
]
const STORED = 17
/** Blocks: header, sub header with notes, two blocks for each bitmap of 40009 frames. */
const BITMAP_1 = 2 * PAGE
const BITMAP_2 = BITMAP_1 + 2 * PAGE
const DESCRIPTORS = BITMAP_2 + 2 * PAGE
const DATA = DESCRIPTORS + STORED * page_desc.size

const good = new Map<DumpFormat, Buffer>()

beforeAll(async () => {
  for (const format of formats) {
    const path = join(dir, `good.${format}`)
    await writeDump(path, { format, compression: 'zstd', present, stored, fill: fillByPfn, batchPages: 5 })
    good.set(format, readFileSync(path))
  }
})

function copyOf(format: DumpFormat): Buffer {
  return Buffer.from(good.get(format) as Buffer)
}

/** Opens, verifies, and reads each page once more by its number. */
async function readAll(bytes: Uint8Array): Promise<VerifySummary> {
  const path = join(dir, 'hostile')
  writeFileSync(path, bytes)
  await using vmcore = await openVmcore(path, { decompress })
  const summary = await verifyVmcore(vmcore)
  const page = new Uint8Array(vmcore.info.pageBytes)
  for await (const run of vmcore.stored()) {
    for (let pfn = run.start; pfn < run.start + Math.min(run.count, 50); pfn++) await vmcore.readPage(pfn, page)
  }
  return summary
}

async function errorOf(bytes: Uint8Array): Promise<VmcoreError> {
  const found = await readAll(bytes).catch((error: unknown) => error)
  expect(found).toBeInstanceOf(VmcoreError)
  return found as VmcoreError
}

test.each(formats)('%s as it was written is good', async (format) => {
  expect(await readAll(copyOf(format))).toMatchObject({ pages: STORED, zeroPages: 6, trailingBytes: 0 })
})

describe('a file that ends too early', () => {
  test.each(formats)('%s, wherever it ends', async (format) => {
    const whole = copyOf(format)
    const structures = [16, 464, PAGE, PAGE + 104, PAGE + 200, BITMAP_1, BITMAP_2, DESCRIPTORS, DATA, DATA + PAGE]
    const cuts = new Set([...structures.flatMap((at) => [at - 1, at, at + 1]), whole.length - 1])
    for (let cut = 33; cut < whole.length; cut += 997) cuts.add(cut)
    for (const cut of cuts) {
      if (cut >= whole.length || cut < 16) continue
      const error = await errorOf(whole.subarray(0, cut))
      // A file that is cut inside its signature may be anything.
      expect([cut, error.code]).toEqual([cut, 'TRUNCATED'])
    }
  })

  test('kdump that says of itself that it is incomplete', async () => {
    const bytes = copyOf('kdump')
    bytes.writeUInt32LE(0x28, offsetOf(disk_dump_header, 'status'))
    expect((await errorOf(bytes)).code).toBe('TRUNCATED')
  })
})

test.each(formats)('%s with bytes appended: they are counted', async (format) => {
  const summary = await readAll(Buffer.concat([copyOf(format), Buffer.alloc(1234)]))
  // Nothing after the end record of a flattened file is part of the file inside.
  expect(summary.trailingBytes).toBe(format === 'flattened' ? 0 : 1234)
})

type Harm = (bytes: Buffer) => void

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

const elf = (field: keyof typeof Elf64_Ehdr.offsets): number => offsetOf(Elf64_Ehdr, field)
const phdr = (index: number, field: keyof typeof Elf64_Phdr.offsets): number =>
  Elf64_Ehdr.size + index * Elf64_Phdr.size + offsetOf(Elf64_Phdr, field)

const notesEnd = (b: Buffer): bigint => b.readBigUInt64LE(phdr(0, 'p_offset')) + b.readBigUInt64LE(phdr(0, 'p_filesz'))

const elfHarms: readonly (readonly [string, VmcoreErrorCode, Harm])[] = [
  ['another type', 'NOT_A_VMCORE', (b) => b.writeUInt16LE(2, elf('e_type'))],
  ['no program headers', 'UNSUPPORTED', (b) => b.writeUInt16LE(0, elf('e_phnum'))],
  ['more program headers than file', 'TRUNCATED', (b) => b.writeUInt16LE(0xfffe, elf('e_phnum'))],
  ['program headers of another size', 'CORRUPT', (b) => b.writeUInt16LE(32, elf('e_phentsize'))],
  ['program headers over the header', 'CORRUPT', (b) => b.writeBigUInt64LE(0n, elf('e_phoff'))],
  ['program headers outside the file', 'TRUNCATED', (b) => b.writeBigUInt64LE(2n ** 40n, elf('e_phoff'))],
  ['program headers beyond all numbers', 'CORRUPT', (b) => b.writeBigUInt64LE(2n ** 63n, elf('e_phoff'))],
  ['a count in a section that is not there', 'CORRUPT', (b) => b.writeUInt16LE(0xffff, elf('e_phnum'))],
  [
    'a count in a section outside the file',
    'TRUNCATED',
    (b) => {
      b.writeUInt16LE(0xffff, elf('e_phnum'))
      b.writeBigUInt64LE(2n ** 40n, elf('e_shoff'))
    },
  ],
  ['notes outside the file', 'TRUNCATED', (b) => b.writeBigUInt64LE(2n ** 40n, phdr(0, 'p_offset'))],
  ['huge notes', 'CORRUPT', (b) => b.writeBigUInt64LE(2n ** 60n, phdr(0, 'p_filesz'))],
  ['a segment outside the file', 'TRUNCATED', (b) => b.writeBigUInt64LE(2n ** 40n, phdr(1, 'p_offset'))],
  ['a segment beyond all numbers', 'CORRUPT', (b) => b.writeBigUInt64LE(2n ** 63n, phdr(1, 'p_offset'))],
  ['a segment larger than the file', 'TRUNCATED', (b) => b.writeBigUInt64LE(2n ** 40n, phdr(1, 'p_filesz'))],
  ['a huge segment', 'CORRUPT', (b) => b.writeBigUInt64LE(2n ** 64n - 1n, phdr(1, 'p_memsz'))],
  ['an address beyond any', 'CORRUPT', (b) => b.writeBigUInt64LE(2n ** 60n, phdr(1, 'p_paddr'))],
  [
    'no physical addresses, as of a process',
    'NOT_A_VMCORE',
    (b) => {
      b.writeBigUInt64LE(0n, phdr(1, 'p_paddr'))
      b.writeBigUInt64LE(0n, phdr(2, 'p_paddr'))
    },
  ],
  ['less memory than content', 'CORRUPT', (b) => b.writeBigUInt64LE(BigInt(8 * PAGE), phdr(1, 'p_memsz'))],
  ['a segment over the header', 'CORRUPT', (b) => b.writeBigUInt64LE(0n, phdr(1, 'p_offset'))],
  ['a segment over the program headers', 'CORRUPT', (b) => b.writeBigUInt64LE(100n, phdr(1, 'p_offset'))],
  ['a segment over the end of the notes', 'CORRUPT', (b) => b.writeBigUInt64LE(notesEnd(b) - 1n, phdr(1, 'p_offset'))],
  [
    'a segment over section headers',
    'CORRUPT',
    (b) => {
      b.writeBigUInt64LE(b.readBigUInt64LE(phdr(2, 'p_offset')) - 32n, elf('e_shoff'))
      b.writeUInt16LE(1, elf('e_shnum'))
    },
  ],
  [
    'notes inside a segment',
    'CORRUPT',
    (b) => {
      const notes = Number(b.readBigUInt64LE(phdr(0, 'p_offset')))
      const inside = Number(b.readBigUInt64LE(phdr(2, 'p_offset'))) + PAGE
      b.copy(b, inside, notes, Number(notesEnd(b)))
      b.writeBigUInt64LE(BigInt(inside), phdr(0, 'p_offset'))
    },
  ],
  [
    'a segment over the notes that an earlier one hides',
    'CORRUPT',
    (b) => {
      b.writeBigUInt64LE(b.readBigUInt64LE(phdr(1, 'p_paddr')), phdr(2, 'p_paddr'))
      b.writeBigUInt64LE(notesEnd(b) - 8n, phdr(2, 'p_offset'))
    },
  ],
  ['the mark of an incomplete dump', 'TRUNCATED', (b) => b.writeUInt32LE(1, elf('e_flags'))],
]

describe('elf with', () => {
  test.each(elfHarms)('%s', async (_, code, harm) => {
    const bytes = copyOf('elf')
    harm(bytes)
    expect((await errorOf(bytes)).code).toBe(code)
  })

  test('a segment over the notes: both places named; right behind them: none of that', async () => {
    const bytes = copyOf('elf')
    const end = Number(notesEnd(bytes))
    const start = bytes.readBigUInt64LE(phdr(0, 'p_offset'))
    bytes.writeBigUInt64LE(BigInt(end - 1), phdr(1, 'p_offset'))
    expect((await errorOf(bytes)).message).toBe(
      `the segment at 0x2000 claims bytes ${end - 1} to ${end - 1 + 9 * PAGE} of the file, ` +
        `the notes stand from ${start} to ${end}`,
    )
    bytes.writeBigUInt64LE(BigInt(end), phdr(1, 'p_offset'))
    expect(await readAll(bytes)).toMatchObject({ pages: STORED })
  })

  test('a segment that claims more memory than it has: the rest is excluded, not zero', async () => {
    const bytes = copyOf('elf')
    bytes.writeBigUInt64LE(BigInt(20 * PAGE), phdr(1, 'p_memsz'))
    const path = join(dir, 'gap.elf')
    writeFileSync(path, bytes)
    await using vmcore = await openVmcore(path)
    expect(await vmcore.frameState(10)).toBe('stored')
    expect(await vmcore.frameState(11)).toBe('excluded')
    expect(await vmcore.frameState(21)).toBe('excluded')
    expect(await vmcore.frameState(22)).toBe('hole')
    await expect(vmcore.readPage(11, new Uint8Array(PAGE))).rejects.toMatchObject({ code: 'NOT_STORED' })
    expect(await verifyVmcore(vmcore)).toMatchObject({ pages: STORED, excludedFrames: 11 })
  })
})

describe('flattened with', () => {
  const record = MAX_SIZE_MDF_HEADER + offsetOf(makedumpfile_data_header, 'offset')
  const size = MAX_SIZE_MDF_HEADER + offsetOf(makedumpfile_data_header, 'buf_size')
  const harms: readonly (readonly [string, VmcoreErrorCode, Harm])[] = [
    ['a type of the future', 'UNSUPPORTED', (b) => b.writeBigInt64BE(2n, 16)],
    ['a version of the future', 'UNSUPPORTED', (b) => b.writeBigInt64BE(2n, 24)],
    ['a record before the file', 'CORRUPT', (b) => b.writeBigInt64BE(-4096n, record)],
    ['a record of no bytes', 'CORRUPT', (b) => b.writeBigInt64BE(0n, size)],
    ['a record of negative size', 'CORRUPT', (b) => b.writeBigInt64BE(-1n, size)],
    ['a record beyond all numbers', 'CORRUPT', (b) => b.writeBigInt64BE(2n ** 62n, record)],
    ['a record larger than the file', 'TRUNCATED', (b) => b.writeBigInt64BE(2n ** 40n, size)],
    ['the header somewhere else', 'CORRUPT', (b) => b.writeBigInt64BE(1n, record)],
    ['a flattened file inside', 'NOT_A_VMCORE', (b) => b.write('makedumpfile\0\0\0\0', MAX_SIZE_MDF_HEADER + 16)],
  ]
  test.each(harms)('%s', async (_, code, harm) => {
    const bytes = copyOf('flattened')
    harm(bytes)
    expect((await errorOf(bytes)).code).toBe(code)
  })

  test('a record written twice: the later one holds', async () => {
    const bytes = copyOf('flattened')
    const end = bytes.length - makedumpfile_data_header.size
    const level = Buffer.alloc(4)
    level.writeInt32LE(17)
    const later = makedumpfile_data_header.toBytes({ offset: BigInt(sub('dump_level')), buf_size: 4n }, 'big')
    const path = join(dir, 'twice')
    writeFileSync(path, Buffer.concat([bytes.subarray(0, end), later, level, bytes.subarray(end)]))
    await using vmcore = await openVmcore(path, { decompress })
    expect(vmcore.info.dumpLevel).toBe(17)
    expect(await verifyVmcore(vmcore)).toMatchObject({ pages: STORED })
  })

  test('a hole in a bitmap: it is zeros; a hole in a page: it is an error', async () => {
    const plain = copyOf('kdump')
    const flatten = (...parts: readonly (readonly [number, number])[]): Buffer => {
      const head = copyOf('flattened').subarray(0, MAX_SIZE_MDF_HEADER)
      const records = parts.flatMap(([from, to]) => [
        makedumpfile_data_header.toBytes({ offset: BigInt(from), buf_size: BigInt(to - from) }, 'big'),
        plain.subarray(from, to),
      ])
      return Buffer.concat([head, ...records, makedumpfile_data_header.toBytes({ offset: -1n, buf_size: -1n }, 'big')])
    }
    const end = plain.length
    expect(await readAll(flatten([0, BITMAP_1 + 10], [BITMAP_1 + 4900, end]))).toMatchObject({ pages: STORED })
    expect((await errorOf(flatten([0, DATA + 5000], [DATA + 5010, end]))).code).toBe('CORRUPT')
    expect((await errorOf(flatten([0, DESCRIPTORS + 30], [DESCRIPTORS + 40, end]))).code).toBe('CORRUPT')
  })
})

test('a note blob from the guest that breaks off is refused when writing', async () => {
  const elfNotes = encodeElfNote('VMCOREINFO', 0, new Uint8Array(8)).subarray(0, 26)
  for (const format of formats) {
    const writing = writeDump(join(dir, 'broken'), { format, header: { elfNotes }, present, stored, fill: fillByPfn })
    await expect(writing).rejects.toThrow('only 2 are left')
  }
})

test.each(formats)(
  '%s with any bytes changed is read or refused with a VmcoreError, never anything else',
  async (format) => {
    const whole = copyOf(format)
    const change = fc.record({
      // Most of the harm can be done at the front.
      at: fc.oneof(fc.nat(700), fc.nat(DATA + 100), fc.nat(whole.length - 1)),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const bytes = Buffer.from(whole)
        for (const { at, bytes: changed } of changes) bytes.set(changed.subarray(0, whole.length - at), at)
        const found = await readAll(bytes).catch((error: unknown) => error)
        if (found instanceof Error) expect(found).toBeInstanceOf(VmcoreError)
      }),
      { numRuns: 200 },
    )
  },
)
