import {
  EI_CLASS,
  EI_DATA,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_AARCH64,
  Elf64_Ehdr,
  Elf64_Phdr,
  Elf64_Shdr,
  encodeElfNote,
  PN_XNUM,
  PT_LOAD,
  PT_NOTE,
  readElfNotes,
} from '@ullage/layout'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readNotesElf } from './notes-elf.ts'
import { QemuError } from './qemu-error.ts'

const notes = Buffer.concat([
  encodeElfNote('CORE', 1, new Uint8Array(336)),
  encodeElfNote('QEMU', 0, new Uint8Array(440)),
  encodeElfNote('CORE', 1, new Uint8Array(336)),
  encodeElfNote('VMCOREINFO', 0, Buffer.from('OSRELEASE=6.1\n')),
])

/** An ELF core as QEMU writes it: section headers before program headers, notes behind both. */
function makeElf(change: { e_phnum?: number; sh_info?: number; p_filesz?: bigint; e_phoff?: bigint } = {}): Uint8Array {
  const shoff = 64
  const phoff = shoff + Elf64_Shdr.size
  const offset = phoff + 2 * Elf64_Phdr.size
  const ident = new Uint8Array(16)
  ident.set([0x7f, 0x45, 0x4c, 0x46])
  ident[EI_CLASS] = ELFCLASS64
  ident[EI_DATA] = ELFDATA2LSB
  const blank = { p_flags: 0, p_vaddr: 0n, p_paddr: 0n, p_memsz: 0n, p_align: 0n }
  const section = { sh_name: 0, sh_type: 0, sh_flags: 0n, sh_addr: 0n, sh_offset: 0n, sh_size: 0n, sh_link: 0 }
  const filesz = change.p_filesz ?? BigInt(notes.length)
  return Buffer.concat([
    Elf64_Ehdr.toBytes({
      e_ident: ident,
      e_type: 4,
      e_machine: EM_AARCH64,
      e_version: 1,
      e_entry: 0n,
      e_phoff: change.e_phoff ?? BigInt(phoff),
      e_shoff: BigInt(shoff),
      e_flags: 0,
      e_ehsize: 64,
      e_phentsize: 56,
      e_phnum: change.e_phnum ?? 2,
      e_shentsize: 64,
      e_shnum: 1,
      e_shstrndx: 0,
    }),
    Elf64_Shdr.toBytes({ ...section, sh_info: change.sh_info ?? 0, sh_addralign: 0n, sh_entsize: 0n }),
    Elf64_Phdr.toBytes({ ...blank, p_type: PT_NOTE, p_offset: BigInt(offset), p_filesz: filesz }),
    Elf64_Phdr.toBytes({ ...blank, p_type: PT_LOAD, p_offset: 0n, p_filesz: 4096n }),
    notes,
  ])
}

test('notes are found by e_phoff and counted by CPU', () => {
  const found = readNotesElf(makeElf(), 'x')
  expect(found).toEqual({ machine: EM_AARCH64, cpus: 2, elfNotes: new Uint8Array(notes) })
  expect([...readElfNotes(found.elfNotes)].map(({ name }) => name)).toEqual(['CORE', 'QEMU', 'CORE', 'VMCOREINFO'])
})

test('a count of program headers beyond 65534 is read from section header 0', () => {
  expect(readNotesElf(makeElf({ e_phnum: PN_XNUM, sh_info: 2 }), 'x').cpus).toBe(2)
})

test.each([
  ['no bytes', new Uint8Array(0)],
  ['another magic', new Uint8Array(64)],
  ['notes beyond the file', makeElf({ p_filesz: 1n << 40n })],
  ['notes of 2^63 bytes', makeElf({ p_filesz: 1n << 63n })],
  ['notes cut off', makeElf({ p_filesz: BigInt(notes.length - 20) })],
  ['headers beyond the file', makeElf({ e_phoff: 1n << 33n })],
  ['a million headers', makeElf({ e_phnum: PN_XNUM, sh_info: 1_000_000 })],
])('%s are refused, and the file is named', (_, file) => {
  expect(() => readNotesElf(file, 'notes.elf')).toThrow(
    expect.objectContaining({ code: 'BAD_NOTES', message: expect.stringContaining('in notes.elf, found: ') }),
  )
})

test('any damage gives notes or BAD_NOTES, nothing else', () => {
  const good = makeElf()
  const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 })
  fc.assert(
    fc.property(damage, fc.nat(good.length), (changes, size) => {
      const file = Uint8Array.from(good)
      for (const [at, byte] of changes) file[at] = byte
      try {
        readNotesElf(file.subarray(0, size), 'x')
      } catch (error) {
        if (!(error instanceof QemuError) || error.code !== 'BAD_NOTES') throw error
      }
    }),
    { numRuns: 2000 },
  )
})
