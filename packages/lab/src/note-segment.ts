import { Elf64_Ehdr, Elf64_Phdr, PT_NOTE, toSafeNumber } from '@ullage/layout'
import { LabError } from './lab-error.ts'

/** The bytes of the first PT_NOTE segment of an ELF file. Throws LabError when there is none. */
export function readNoteSegment(file: Uint8Array): Uint8Array {
  const { e_phoff, e_phnum } = Elf64_Ehdr.read(file, 0)
  for (let i = 0; i < e_phnum; i++) {
    const header = Elf64_Phdr.read(file, toSafeNumber(e_phoff, 'e_phoff') + i * Elf64_Phdr.size)
    if (header.p_type !== PT_NOTE) continue
    const start = toSafeNumber(header.p_offset, 'p_offset')
    return file.subarray(start, start + toSafeNumber(header.p_filesz, 'p_filesz'))
  }
  throw new LabError(`none of ${e_phnum} program headers is a PT_NOTE`)
}
