import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Elf64_Ehdr, Elf64_Phdr, offsetOf } from '@ullage/layout'
import { describe, expect, test } from 'vitest'
import { copyOf, dir, errorOf, type Harm, PAGE, readAll, STORED } from '../test/good-files.ts'
import { openVmcore } from './open-vmcore.ts'
import { verifyVmcore } from './verify-vmcore.ts'
import type { VmcoreErrorCode } from './vmcore-error.ts'

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
