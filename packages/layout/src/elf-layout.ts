import { bytes, u16, u32, u64, type Infer } from './field-type.ts'
import { struct } from './struct.ts'

/** ELF-64 Object File Format, figure 2; e_ident is spelled out up to EI_OSABI. Ref: elf(5). */
export const Elf64_Ehdr = struct('Elf64_Ehdr', 64, {
  e_ident: bytes(16),
  e_type: u16,
  e_machine: u16,
  e_version: u32,
  e_entry: u64,
  e_phoff: u64,
  e_shoff: u64,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
})
export type Elf64Ehdr = Infer<typeof Elf64_Ehdr>

export const Elf64_Phdr = struct('Elf64_Phdr', 56, {
  p_type: u32,
  p_flags: u32,
  p_offset: u64,
  p_vaddr: u64,
  p_paddr: u64,
  p_filesz: u64,
  p_memsz: u64,
  p_align: u64,
})
export type Elf64Phdr = Infer<typeof Elf64_Phdr>

export const Elf64_Shdr = struct('Elf64_Shdr', 64, {
  sh_name: u32,
  sh_type: u32,
  sh_flags: u64,
  sh_addr: u64,
  sh_offset: u64,
  sh_size: u64,
  sh_link: u32,
  sh_info: u32,
  sh_addralign: u64,
  sh_entsize: u64,
})
export type Elf64Shdr = Infer<typeof Elf64_Shdr>

/** Header of one note. Name and description follow, each padded to 4 bytes, in 64-bit core files too. Ref: elf(5). */
export const Elf64_Nhdr = struct('Elf64_Nhdr', 12, { n_namesz: u32, n_descsz: u32, n_type: u32 })

/** 0x7f 'E' 'L' 'F' as a little-endian u32. */
export const ELF_MAGIC = 0x464c_457f

/** Indices into e_ident, and what stands there. */
export const EI_CLASS = 4
export const EI_DATA = 5
export const EI_VERSION = 6
export const ELFCLASS64 = 2
export const ELFDATA2LSB = 1
export const EV_CURRENT = 1

export const ET_CORE = 4

export const EM_386 = 3
export const EM_X86_64 = 62
export const EM_AARCH64 = 183

export const PT_LOAD = 1
export const PT_NOTE = 4
/** In e_phnum: the true count is sh_info of section header 0. */
export const PN_XNUM = 0xffff

export const NT_PRSTATUS = 1
