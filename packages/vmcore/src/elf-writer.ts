import {
  EI_CLASS,
  EI_DATA,
  EI_VERSION,
  ELF_MAGIC,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_AARCH64,
  EM_X86_64,
  ET_CORE,
  EV_CURRENT,
  Elf64_Ehdr,
  Elf64_Phdr,
  Elf64_Shdr,
  PN_XNUM,
  PT_LOAD,
  PT_NOTE,
  readElfNotes,
} from '@ullage/layout'
import { AppendBuffer } from './append-buffer.ts'
import { checkBatch } from './page-batch.ts'
import { checkPageBytes, PageCount } from './page-count.ts'
import {
  pageFlags,
  type PositionedSink,
  type VmcoreFrames,
  type VmcoreHeader,
  type VmcoreWriter,
} from './vmcore-writer.ts'

const HEADER_BUFFER_BYTES = 1 << 20
const DATA_BUFFER_BYTES = 4 << 20
/** PF_R | PF_W | PF_X, as the kernel's own /proc/vmcore has it. */
const SEGMENT_FLAGS = 7

/** Zeros up to this are written: many small holes would make many small writes. */
const MIN_HOLE_BYTES = 1 << 18
const zeros = new Uint8Array(MIN_HOLE_BYTES)

const machines = { x86_64: EM_X86_64, aarch64: EM_AARCH64 } as const

/**
 * Starts an ELF vmcore. Pages arrive raw (flags 0) and stand in the order of `stored`; long stretches of zeros are left
 * out of the file as holes. Each run of stored frames is one PT_LOAD of its own: a frame that is left out lies in none,
 * because readers take a gap inside a segment for zeros.
 *
 * Program headers stand at 64 because makedumpfile looks nowhere else; p_vaddr is p_paddr as QEMU writes it, which keeps
 * makedumpfile from computing a page offset from it. More than 65534 program headers are counted in section header 0.
 */
export async function startElf(
  sink: PositionedSink,
  header: VmcoreHeader,
  frames: VmcoreFrames,
): Promise<VmcoreWriter> {
  checkPageBytes(header.pageBytes)
  // Broken notes are refused here, not by whoever opens the file.
  for (const _ of readElfNotes(header.elfNotes)) continue

  let segments = 0
  let stored = 0
  for (const run of frames.stored()) {
    segments++
    stored += run.count
  }
  const pages = new PageCount(frames.storedCount, stored)
  const programHeaders = segments + 1
  const extended = programHeaders >= PN_XNUM
  const sections = Elf64_Ehdr.size + programHeaders * Elf64_Phdr.size
  const notes = sections + (extended ? Elf64_Shdr.size : 0)
  const notesEnd = notes + header.elfNotes.length
  const data = stored === 0 ? notesEnd : Math.ceil(notesEnd / header.pageBytes) * header.pageBytes

  const head = new AppendBuffer(sink, 0, HEADER_BUFFER_BYTES)
  await head.append(encodeEhdr(header.machine, programHeaders, extended ? sections : 0))
  await head.append(segment(PT_NOTE, notes, 0, header.elfNotes.length))
  let position = data
  for (const run of frames.stored()) {
    const bytes = run.count * header.pageBytes
    await head.append(segment(PT_LOAD, position, run.start * header.pageBytes, bytes))
    position += bytes
  }
  if (extended) await head.append(countingSection(programHeaders))
  await head.append(header.elfNotes)
  await head.append(new Uint8Array(data - head.end))
  await head.flush()

  const out = new PageStretches(sink, data, header.pageBytes)
  return {
    async append(batch) {
      checkBatch(batch, header.pageBytes)
      let zeros = 0
      for (let i = 0; i < batch.count; i++) {
        if (batch.flags[i] !== pageFlags.none) throw new RangeError('an ELF vmcore takes raw pages only')
        if (batch.sizes[i] === 0) zeros++
      }
      pages.add(batch.count, zeros)
      await out.append(batch.sizes.subarray(0, batch.count), batch.payload)
    },
    async finish() {
      pages.finish()
      await out.finish()
      return { bytes: position, pages: pages.pages, zeroPages: pages.zeroPages, sharedPages: 0 }
    },
  }
}

/** Pages of equal size one after another, where those of zeros stay unwritten. */
class PageStretches {
  readonly #pageBytes: number
  readonly #buffer: AppendBuffer
  #skipped = 0

  constructor(sink: PositionedSink, position: number, pageBytes: number) {
    this.#pageBytes = pageBytes
    this.#buffer = new AppendBuffer(sink, position, DATA_BUFFER_BYTES)
  }

  async append(sizes: Uint32Array, payload: Uint8Array): Promise<void> {
    let taken = 0
    for (let i = 0; i < sizes.length; ) {
      let end = i
      while (end < sizes.length && sizes[end] === sizes[i]) end++
      const bytes = (end - i) * this.#pageBytes
      if (sizes[i] === 0) {
        this.#skipped += bytes
      } else {
        await this.#skip()
        await this.#buffer.append(payload.subarray(taken, taken + bytes))
        taken += bytes
      }
      i = end
    }
  }

  /** The last page is written even when it is zeros: it gives the file its length. */
  async finish(): Promise<void> {
    if (this.#skipped > 0) {
      this.#skipped -= this.#pageBytes
      await this.#skip()
      await this.#buffer.append(new Uint8Array(this.#pageBytes))
    }
    await this.#buffer.flush()
  }

  async #skip(): Promise<void> {
    if (this.#skipped <= MIN_HOLE_BYTES) await this.#buffer.append(zeros.subarray(0, this.#skipped))
    else await this.#buffer.skip(this.#skipped)
    this.#skipped = 0
  }
}

function encodeEhdr(machine: VmcoreHeader['machine'], programHeaders: number, sections: number): Uint8Array {
  const e_ident = new Uint8Array(16)
  new DataView(e_ident.buffer).setUint32(0, ELF_MAGIC, true)
  e_ident[EI_CLASS] = ELFCLASS64
  e_ident[EI_DATA] = ELFDATA2LSB
  e_ident[EI_VERSION] = EV_CURRENT
  return Elf64_Ehdr.toBytes({
    e_ident,
    e_type: ET_CORE,
    e_machine: machines[machine],
    e_version: EV_CURRENT,
    e_entry: 0n,
    e_phoff: BigInt(Elf64_Ehdr.size),
    e_shoff: BigInt(sections),
    e_flags: 0,
    e_ehsize: Elf64_Ehdr.size,
    e_phentsize: Elf64_Phdr.size,
    e_phnum: Math.min(programHeaders, PN_XNUM),
    e_shentsize: sections === 0 ? 0 : Elf64_Shdr.size,
    e_shnum: sections === 0 ? 0 : 1,
    e_shstrndx: 0,
  })
}

function segment(type: number, offset: number, address: number, bytes: number): Uint8Array {
  return Elf64_Phdr.toBytes({
    p_type: type,
    p_flags: type === PT_LOAD ? SEGMENT_FLAGS : 0,
    p_offset: BigInt(offset),
    p_vaddr: BigInt(address),
    p_paddr: BigInt(address),
    p_filesz: BigInt(bytes),
    p_memsz: BigInt(bytes),
    p_align: 0n,
  })
}

function countingSection(programHeaders: number): Uint8Array {
  return Elf64_Shdr.toBytes({
    sh_name: 0,
    sh_type: 0,
    sh_flags: 0n,
    sh_addr: 0n,
    sh_offset: 0n,
    sh_size: 0n,
    sh_link: 0,
    sh_info: programHeaders,
    sh_addralign: 0n,
    sh_entsize: 0n,
  })
}
