import {
  EI_CLASS,
  EI_DATA,
  ELF_MAGIC,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_X86_64,
  ET_CORE,
  Elf64_Ehdr,
  type Elf64Ehdr,
  Elf64_Shdr,
} from '@ullage/layout'
import { OfflineError } from '@ullage/offline-query'
import { type GuestFile, readBytes } from './guest-file.ts'

/** xl dump-core writes seven. */
const MAX_SECTIONS = 64
const MAX_NAMES_BYTES = 64 * 1024

/** One section of a core file; it lies inside the file. */
export interface CoreSection {
  readonly name: string
  readonly offsetBytes: number
  readonly sizeBytes: number
  /** Bytes in one entry, 0 where the section has none. */
  readonly entryBytes: number
}

/**
 * The sections of a core file that `xl dump-core` wrote, by name. Throws OfflineError: INVALID when the file is something
 * else, UNSUPPORTED for another machine, CORRUPT when a section lies outside the file or two have one name.
 */
export function readSections(file: GuestFile): ReadonlyMap<string, CoreSection> {
  const header = readHeader(file)
  const table = inside(file, 'the section headers', header.e_shoff, BigInt(header.e_shnum * Elf64_Shdr.size))
  const bytes = readBytes(file, table.offsetBytes, table.sizeBytes, 'the section headers')
  const headers = Array.from({ length: header.e_shnum }, (_, i) => Elf64_Shdr.read(bytes, i * Elf64_Shdr.size))
  const strings = headers[header.e_shstrndx]
  if (!strings) {
    throw corrupt(file, `section ${header.e_shstrndx} should hold the names, there are ${header.e_shnum} sections`)
  }
  const names = readNames(file, strings.sh_offset, strings.sh_size)
  const sections = new Map<string, CoreSection>()
  for (const section of headers.slice(1)) {
    const name = nameAt(names, section.sh_name)
    if (name === undefined) throw corrupt(file, `a section has its name at byte ${section.sh_name}, outside the names`)
    if (sections.has(name)) throw corrupt(file, `there are two sections ${name}`)
    const place = inside(file, `section ${name}`, section.sh_offset, section.sh_size)
    const entryBytes = Number(section.sh_entsize)
    sections.set(name, { name, ...place, entryBytes })
  }
  return sections
}

/** The section called `name`. Throws OfflineError CORRUPT when there is none. */
export function requireSection(file: GuestFile, sections: ReadonlyMap<string, CoreSection>, name: string): CoreSection {
  const section = sections.get(name)
  if (section) return section
  const found = [...sections.keys()].join(', ') || 'none'
  throw corrupt(file, `expected a section ${name}, found ${found}`)
}

/** For what breaks the format: what was expected, what was found. */
export function corrupt(file: GuestFile, text: string): OfflineError {
  return new OfflineError('CORRUPT', `${file.path} is no sound core of xl dump-core: ${text}`)
}

function readHeader(file: GuestFile): Elf64Ehdr {
  const refuse = (found: string): OfflineError =>
    new OfflineError(
      'INVALID',
      `expected an elf core with sections, as xl dump-core writes it, at ${file.path}, found ${found}`,
    )
  if (file.sizeBytes < Elf64_Ehdr.size) throw refuse(`a file of ${file.sizeBytes} bytes`)
  const header = Elf64_Ehdr.read(readBytes(file, 0, Elf64_Ehdr.size, 'the elf header'))
  const ident = header.e_ident
  if (new DataView(ident.buffer, ident.byteOffset).getUint32(0, true) !== ELF_MAGIC) throw refuse('no elf file')
  if (ident[EI_CLASS] !== ELFCLASS64 || ident[EI_DATA] !== ELFDATA2LSB || header.e_machine !== EM_X86_64) {
    throw new OfflineError(
      'UNSUPPORTED',
      `expected the core of an x86_64 guest at ${file.path}, found elf class ${ident[EI_CLASS]}, data ${ident[EI_DATA]}, machine ${header.e_machine}`,
    )
  }
  if (header.e_type !== ET_CORE) throw refuse(`elf type ${header.e_type}`)
  if (header.e_phnum !== 0) throw refuse(`${header.e_phnum} program headers: a vmcore, not the core of a hypervisor`)
  if (header.e_shnum === 0 || header.e_shnum > MAX_SECTIONS) throw refuse(`${header.e_shnum} sections`)
  if (header.e_shentsize !== Elf64_Shdr.size) throw refuse(`section headers of ${header.e_shentsize} bytes`)
  return header
}

function readNames(file: GuestFile, offset: bigint, size: bigint): Uint8Array {
  const place = inside(file, 'the section with the names', offset, size)
  if (place.sizeBytes > MAX_NAMES_BYTES) throw corrupt(file, `the names of sections take ${place.sizeBytes} bytes`)
  return readBytes(file, place.offsetBytes, place.sizeBytes, 'the names of sections')
}

function nameAt(names: Uint8Array, at: number): string | undefined {
  const end = names.indexOf(0, at)
  return at >= names.length || end === -1 ? undefined : new TextDecoder('latin1').decode(names.subarray(at, end))
}

function inside(
  file: GuestFile,
  what: string,
  offset: bigint,
  size: bigint,
): { offsetBytes: number; sizeBytes: number } {
  if (offset + size > BigInt(file.sizeBytes)) {
    throw corrupt(
      file,
      `${what} should be at bytes [${offset}, ${offset + size}), the file has only ${file.sizeBytes}: it was cut off, ` +
        'as xl dump-core does without a word when the disk is full or memory is populated on demand',
    )
  }
  return { offsetBytes: Number(offset), sizeBytes: Number(size) }
}
