import { LayoutError, readElfNotes } from '@ullage/layout'
import { OfflineError } from '@ullage/offline-query'
import { type GuestFile, readBytes } from './guest-file.ts'
import {
  DumpcoreHeader,
  FORMAT_VERSION,
  PAGE_BYTES,
  XC_CORE_MAGIC,
  XC_CORE_MAGIC_HVM,
  XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION,
  XEN_ELFNOTE_DUMPCORE_HEADER,
} from './core-layout.ts'
import { type CoreSection, corrupt } from './core-sections.ts'

const MAX_NOTES_BYTES = 1024 * 1024
/** More than Xen gives any guest. */
const MAX_VCPUS = 8192n

/** What the notes of a core say of it. */
export interface CoreHeader {
  readonly kind: 'pv' | 'hvm'
  readonly vcpus: number
  /** Pages in `.xen_pages`, padding included. */
  readonly pages: number
}

/**
 * Reads the notes named `Xen`. Throws OfflineError: UNSUPPORTED for another version or page size, CORRUPT when notes are
 * missing or say what cannot be.
 */
export function readCoreHeader(file: GuestFile, section: CoreSection): CoreHeader {
  if (section.sizeBytes > MAX_NOTES_BYTES) throw corrupt(file, `its notes take ${section.sizeBytes} bytes`)
  const blob = readBytes(file, section.offsetBytes, section.sizeBytes, `section ${section.name}`)
  const notes = xenNotes(file, blob)
  const version = notes.get(XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION)
  if (version?.length !== 8) throw corrupt(file, 'expected a note with the version of the format, found none')
  const number = new DataView(version.buffer, version.byteOffset).getBigUint64(0, true)
  if (number !== FORMAT_VERSION) throw unsupported(file, `version ${FORMAT_VERSION} of the format`, `${number}`)
  const desc = notes.get(XEN_ELFNOTE_DUMPCORE_HEADER)
  if (desc?.length !== DumpcoreHeader.size) throw corrupt(file, 'expected a header note of 32 bytes, found none')
  const { magic, nr_vcpus, nr_pages, page_size } = DumpcoreHeader.read(desc)
  if (magic !== XC_CORE_MAGIC && magic !== XC_CORE_MAGIC_HVM) {
    throw corrupt(file, `expected the magic of a PV or HVM guest, found 0x${magic.toString(16)}`)
  }
  if (page_size !== BigInt(PAGE_BYTES)) throw unsupported(file, `pages of ${PAGE_BYTES} bytes`, `${page_size}`)
  if (nr_vcpus > MAX_VCPUS) throw corrupt(file, `expected ${MAX_VCPUS} vCPUs at most, found ${nr_vcpus}`)
  const fit = Math.floor(file.sizeBytes / PAGE_BYTES)
  if (nr_pages > BigInt(fit)) throw corrupt(file, `its header counts ${nr_pages} pages, the file has room for ${fit}`)
  return { kind: magic === XC_CORE_MAGIC ? 'pv' : 'hvm', vcpus: Number(nr_vcpus), pages: Number(nr_pages) }
}

function xenNotes(file: GuestFile, blob: Uint8Array): Map<number, Uint8Array> {
  const notes = new Map<number, Uint8Array>()
  try {
    for (const { name, type, desc } of readElfNotes(blob)) if (name === 'Xen') notes.set(type, desc)
  } catch (cause) {
    if (!(cause instanceof LayoutError)) throw cause
    throw corrupt(file, cause.message)
  }
  return notes
}

function unsupported(file: GuestFile, expected: string, found: string): OfflineError {
  return new OfflineError('UNSUPPORTED', `expected ${expected} in ${file.path}, found ${found}`)
}
