import type { Infer } from '@ullage/layout'
import { OfflineError } from '@ullage/offline-query'
import { checksumOf, corrupt, hex, readBytes, type StorageFile, unsupported } from './storage-file.ts'
import { FileHeader, FORMAT_VERSION, HEADER_OFFSETS, HEADER_SIGNATURE } from './storage-layout.ts'

export type StorageHeader = Infer<typeof FileHeader>

const MAX_ALIGNMENT = 0x1_0000
const CHECKSUM = FileHeader.offsets.checksum

/**
 * The header that counts: of the two copies the valid one with the later sequence number, which wraps at 2^16. Throws
 * OfflineError: INVALID when the file is no such container, UNSUPPORTED for another version of the format, CORRUPT when
 * neither copy is sound or both claim the same sequence number with different content.
 */
export function readStorageHeader(file: StorageFile): StorageHeader {
  const copies = HEADER_OFFSETS.flatMap((offset) => readCopy(file, offset))
  if (copies.length === 0) throw notAContainer(file)
  const sound = copies.filter(({ isSound }) => isSound)
  const [first, second] = sound
  if (!first) throw corrupt(file, 'neither copy of its header has the right checksum')
  const header = second ? later(file, first, second) : first.header
  if (header.formatVersion !== FORMAT_VERSION) {
    throw unsupported(file, `version ${hex(FORMAT_VERSION)} of HyperVStorage`, hex(header.formatVersion))
  }
  if (header.dataAlignment === 0 || header.dataAlignment > MAX_ALIGNMENT) {
    throw corrupt(file, `expected an alignment of ${MAX_ALIGNMENT} bytes at most, found ${header.dataAlignment}`)
  }
  return header
}

interface Copy {
  readonly header: StorageHeader
  readonly bytes: Uint8Array
  readonly isSound: boolean
}

function readCopy(file: StorageFile, offset: number): Copy[] {
  if (offset + FileHeader.size > file.sizeBytes) return []
  const bytes = readBytes(file, offset, FileHeader.size, 'the header')
  const header = FileHeader.read(bytes)
  if (header.signature !== HEADER_SIGNATURE) return []
  return [{ header, bytes, isSound: checksumOf(bytes, CHECKSUM) === header.checksum }]
}

function later(file: StorageFile, a: Copy, b: Copy): StorageHeader {
  const ahead = (b.header.sequence - a.header.sequence) & 0xffff
  if (ahead === 0 && !Buffer.from(a.bytes).equals(b.bytes)) {
    throw corrupt(file, `both copies of its header have sequence number ${a.header.sequence} and they differ`)
  }
  return ahead !== 0 && ahead < 0x8000 ? b.header : a.header
}

/** The older pair has no signature that is published: it is known by its names. */
function notAContainer(file: StorageFile): OfflineError {
  const older = /\.(bin|vsv)$/i.test(file.path)
  const hint = older
    ? 'a .bin or .vsv file is half of the pair that Hyper-V wrote before Windows Server 2016, which is not read: restore and ' +
      'save the guest on a newer host, which writes a .vmrs'
    : `it begins with ${hex(firstWord(file))}, a .vmrs with ${hex(HEADER_SIGNATURE)}`
  return new OfflineError(
    older ? 'UNSUPPORTED' : 'INVALID',
    `expected a saved state of Hyper-V (.vmrs) at ${file.path}: ${hint}`,
  )
}

function firstWord(file: StorageFile): number {
  const bytes = new Uint8Array(4)
  file.read(0, bytes.subarray(0, Math.min(4, file.sizeBytes)), 'the first bytes')
  return new DataView(bytes.buffer).getUint32(0, true)
}
