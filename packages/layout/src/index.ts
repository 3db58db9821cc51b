export { arm64_prstatus, elf_prstatus, QEMUCPUState } from './cpu-notes.ts'
export { type CpuSegment, type CpuState, cpuNotes, cpuSegment } from './cpu-state.ts'
export { Cursor } from './cursor.ts'
export {
  EI_CLASS,
  EI_DATA,
  EI_VERSION,
  ELF_MAGIC,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_386,
  EM_AARCH64,
  EM_X86_64,
  ET_CORE,
  EV_CURRENT,
  Elf64_Ehdr,
  Elf64_Nhdr,
  Elf64_Phdr,
  Elf64_Shdr,
  type Elf64Ehdr,
  type Elf64Phdr,
  type Elf64Shdr,
  NT_PRSTATUS,
  PN_XNUM,
  PT_LOAD,
  PT_NOTE,
} from './elf-layout.ts'
export { type ElfNote, encodeElfNote, findElfNote, readElfNotes } from './elf-notes.ts'
export {
  array,
  bytes,
  type Endian,
  type FieldType,
  type Infer,
  i32,
  i64,
  text,
  u8,
  u16,
  u32,
  u64,
} from './field-type.ts'
export { LayoutError } from './layout-error.ts'
export { new_utsname } from './new-utsname.ts'
export { readU64, toSafeNumber, writeU64 } from './safe-number.ts'
export { offsetOf, type Struct, struct, viewAt } from './struct.ts'
