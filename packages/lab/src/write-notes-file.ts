import { writeFile } from 'node:fs/promises'
import { Elf64_Ehdr, Elf64_Phdr, EM_X86_64, ET_CORE, EV_CURRENT, PT_NOTE } from '@ullage/layout'

/** Writes notes as an x86-64 ELF core of nothing else, as a guest descriptor's `notes` name one. */
export async function writeNotesFile(path: string, elfNotes: Uint8Array): Promise<void> {
  const ident = new Uint8Array(16)
  ident.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  const header = Elf64_Ehdr.toBytes({
    e_ident: ident,
    e_type: ET_CORE,
    e_machine: EM_X86_64,
    e_version: EV_CURRENT,
    e_entry: 0n,
    e_phoff: BigInt(Elf64_Ehdr.size),
    e_shoff: 0n,
    e_flags: 0,
    e_ehsize: Elf64_Ehdr.size,
    e_phentsize: Elf64_Phdr.size,
    e_phnum: 1,
    e_shentsize: 0,
    e_shnum: 0,
    e_shstrndx: 0,
  })
  const segment = Elf64_Phdr.toBytes({
    p_type: PT_NOTE,
    p_flags: 0,
    p_offset: BigInt(Elf64_Ehdr.size + Elf64_Phdr.size),
    p_vaddr: 0n,
    p_paddr: 0n,
    p_filesz: BigInt(elfNotes.length),
    p_memsz: BigInt(elfNotes.length),
    p_align: 0n,
  })
  await writeFile(path, Buffer.concat([header, segment, elfNotes]))
}
