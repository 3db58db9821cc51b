import { open, readFile } from 'node:fs/promises'
import { Elf64_Ehdr, Elf64_Phdr, EM_X86_64, ET_CORE, EV_CURRENT, PT_LOAD, PT_NOTE } from '@ullage/layout'
import type { MemoryRegion } from './memory-view.ts'
import { readNoteSegment } from './note-segment.ts'

const PAGE_BYTES = 4096
const CHUNK_BYTES = 4 * 1024 * 1024

/**
 * Writes all of a kept guest's memory as an ELF core, with its notes, as QEMU's dump-guest-memory would: what makedumpfile
 * and crash take as the plain memory of the guest. Holes stay holes.
 */
export async function writeRawCore(
  path: string,
  guest: { regions: readonly MemoryRegion[]; notesFile: string },
): Promise<void> {
  const notes = readNoteSegment(await readFile(guest.notesFile))
  const headers = 1 + guest.regions.length
  const notesAt = Elf64_Ehdr.size + headers * Elf64_Phdr.size
  const dataAt = Math.ceil((notesAt + notes.length) / PAGE_BYTES) * PAGE_BYTES
  const loads = guest.regions.map((region, i) => ({
    region,
    offset: dataAt + guest.regions.slice(0, i).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }))
  const file = await open(path, 'w')
  try {
    const end = loads.reduce((sum, { region, offset }) => Math.max(sum, offset + region.sizeBytes), dataAt)
    await file.truncate(end)
    await file.write(elfHeader(headers), 0, undefined, 0)
    const programHeaders = [
      programHeader({ type: PT_NOTE, offset: notesAt, paddr: 0, size: notes.length }),
      ...loads.map(({ region, offset }) =>
        programHeader({ type: PT_LOAD, offset, paddr: region.gpaBytes, size: region.sizeBytes }),
      ),
    ]
    await file.write(Buffer.concat(programHeaders), 0, undefined, Elf64_Ehdr.size)
    await file.write(notes, 0, undefined, notesAt)
    for (const { region, offset } of loads) await copyBacked(region, file, offset)
  } finally {
    await file.close()
  }
}

async function copyBacked(region: MemoryRegion, into: Awaited<ReturnType<typeof open>>, at: number): Promise<void> {
  const source = await open(region.file)
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (const { startByte, endByte } of region.backedBytes) {
      for (let position = startByte; position < endByte; ) {
        const { bytesRead } = await source.read(chunk, 0, Math.min(CHUNK_BYTES, endByte - position), position)
        if (bytesRead === 0) break
        await into.write(chunk, 0, bytesRead, at + position - region.offsetBytes)
        position += bytesRead
      }
    }
  } finally {
    await source.close()
  }
}

function elfHeader(programHeaders: number): Uint8Array {
  const ident = new Uint8Array(16)
  ident.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  return Elf64_Ehdr.toBytes({
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
    e_phnum: programHeaders,
    e_shentsize: 0,
    e_shnum: 0,
    e_shstrndx: 0,
  })
}

function programHeader(part: { type: number; offset: number; paddr: number; size: number }): Uint8Array {
  return Elf64_Phdr.toBytes({
    p_type: part.type,
    p_flags: 0,
    p_offset: BigInt(part.offset),
    p_vaddr: 0n,
    p_paddr: BigInt(part.paddr),
    p_filesz: BigInt(part.size),
    p_memsz: BigInt(part.size),
    p_align: 0n,
  })
}
