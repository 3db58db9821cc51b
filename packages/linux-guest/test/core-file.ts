import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import type { MemoryView } from '@ullage/lab'
import {
  EI_CLASS,
  EI_DATA,
  EI_VERSION,
  ELF_MAGIC,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_X86_64,
  ET_CORE,
  EV_CURRENT,
  Elf64_Ehdr,
  Elf64_Phdr,
  PT_LOAD,
  PT_NOTE,
} from '@ullage/layout'
import { endOf } from '@ullage/pages'

/** Writes all of a guest's RAM as an ELF core for another reader to judge. Frames the host does not back are holes. */
export function writeCoreFile(path: string, view: MemoryView, elfNotes: Uint8Array): void {
  const { frameBytes, extents, backed } = view
  const notesAt = Elf64_Ehdr.size + (extents.length + 1) * Elf64_Phdr.size
  const ident = new Uint8Array(16)
  new DataView(ident.buffer).setUint32(0, ELF_MAGIC, true)
  ident[EI_CLASS] = ELFCLASS64
  ident[EI_DATA] = ELFDATA2LSB
  ident[EI_VERSION] = EV_CURRENT
  const header = new Uint8Array(notesAt)
  Elf64_Ehdr.write(header, 0, {
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
    e_phnum: extents.length + 1,
    e_shentsize: 0,
    e_shnum: 0,
    e_shstrndx: 0,
  })
  const segment = (index: number, type: number, offset: number, address: number, size: number): void => {
    Elf64_Phdr.write(header, Elf64_Ehdr.size + index * Elf64_Phdr.size, {
      p_type: type,
      p_flags: 0,
      p_offset: BigInt(offset),
      p_vaddr: 0n,
      p_paddr: BigInt(address),
      p_filesz: BigInt(size),
      p_memsz: BigInt(size),
      p_align: 0n,
    })
  }
  segment(0, PT_NOTE, notesAt, 0, elfNotes.length)
  const file = openSync(path, 'w')
  try {
    let at = Math.ceil((notesAt + elfNotes.length) / frameBytes) * frameBytes
    for (const [index, extent] of extents.entries()) {
      segment(index + 1, PT_LOAD, at, extent.start * frameBytes, extent.count * frameBytes)
      for (const run of backed.runs(extent)) {
        for (let start = run.start; start < endOf(run); start += 4096) {
          const count = Math.min(4096, endOf(run) - start)
          const bytes = new Uint8Array(count * frameBytes)
          view.read({ start, count }, bytes)
          writeSync(file, bytes, 0, bytes.length, at + (start - extent.start) * frameBytes)
        }
      }
      at += extent.count * frameBytes
    }
    ftruncateSync(file, at)
    writeSync(file, header, 0, header.length, 0)
    writeSync(file, elfNotes, 0, elfNotes.length, notesAt)
  } finally {
    closeSync(file)
  }
}
