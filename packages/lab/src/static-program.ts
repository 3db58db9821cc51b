import { Elf64_Ehdr, Elf64_Phdr, EM_X86_64, EV_CURRENT, PT_LOAD } from '@ullage/layout'

const ET_EXEC = 2
const PF_R_W_X = 7
const BASE = 0x400000n

/**
 * An ELF executable for x86-64 Linux of one segment that may be read, written and executed: `code`, entered at its start,
 * and `zeroBytes` after it.
 */
export function staticProgram(code: Uint8Array, zeroBytes = 0): Uint8Array {
  const codeAt = Elf64_Ehdr.size + Elf64_Phdr.size
  const ident = new Uint8Array(16)
  ident.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  const header = Elf64_Ehdr.toBytes({
    e_ident: ident,
    e_type: ET_EXEC,
    e_machine: EM_X86_64,
    e_version: EV_CURRENT,
    e_entry: BASE + BigInt(codeAt),
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
  const size = codeAt + code.length
  const segment = Elf64_Phdr.toBytes({
    p_type: PT_LOAD,
    p_flags: PF_R_W_X,
    p_offset: 0n,
    p_vaddr: BASE,
    p_paddr: BASE,
    p_filesz: BigInt(size),
    p_memsz: BigInt(size + zeroBytes),
    p_align: 4096n,
  })
  return Buffer.concat([header, segment, code])
}
