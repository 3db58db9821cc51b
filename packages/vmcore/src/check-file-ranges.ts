import { Elf64_Ehdr, type Elf64Ehdr, Elf64_Phdr, Elf64_Shdr, PN_XNUM } from '@ullage/layout'
import { type ExtentList, ExtentMap } from './extent-map.ts'
import { VmcoreError } from './vmcore-error.ts'

/** Bytes of an ELF file that say what the file is, and so cannot be guest memory as well. */
interface Reserved {
  readonly what: string
  readonly start: number
  readonly end: number
}

/**
 * Checks that no segment takes its memory from the ELF header, the tables of headers or the notes: a dump has each byte
 * of guest memory in its own place. `notes` are extents of the file. Throws VmcoreError CORRUPT.
 */
export function checkFileRanges(
  header: Elf64Ehdr,
  programHeaders: number,
  content: ExtentList,
  notes: ExtentList,
): void {
  const tables = headerRanges(header, programHeaders)
  const notesMap = ExtentMap.of(notes, 'first')
  for (const { start: address, length, position } of content) {
    for (const table of tables) {
      if (position < table.end && table.start < position + length) throw overlap(address, length, position, table)
    }
    const index = notesMap.find(position)
    if (index === notesMap.count) continue
    const { start, length: bytes } = notesMap.at(index)
    if (start < position + length) {
      throw overlap(address, length, position, { what: 'the notes', start, end: start + bytes })
    }
  }
}

function headerRanges(header: Elf64Ehdr, programHeaders: number): Reserved[] {
  const table = (what: string, offset: bigint, bytes: number): Reserved => ({
    what,
    start: Number(offset),
    end: Number(offset) + bytes,
  })
  const ranges = [
    table('the ELF header', 0n, Elf64_Ehdr.size),
    table('the program headers', header.e_phoff, programHeaders * Elf64_Phdr.size),
  ]
  const sections = header.e_phnum === PN_XNUM ? Math.max(1, header.e_shnum) : header.e_shnum
  if (sections > 0 && header.e_shoff !== 0n) {
    ranges.push(table('the section headers', header.e_shoff, sections * Elf64_Shdr.size))
  }
  return ranges
}

function overlap(address: number, length: number, position: number, { what, start, end }: Reserved): VmcoreError {
  return new VmcoreError(
    'CORRUPT',
    `the segment at 0x${address.toString(16)} claims bytes ${position} to ${position + length} of the file, ` +
      `${what} stand from ${start} to ${end}`,
  )
}
