import { OfflineError } from '@ullage/offline-query'
import { badSave, unreadSave } from './bad-save.ts'
import {
  DOMAIN_X86_HVM,
  DOMAIN_X86_PV,
  DomainHeader,
  IMAGE_ID,
  IMAGE_MARKER,
  IMAGE_OPT_BIG_ENDIAN,
  IMAGE_VERSIONS,
  ImageHeader,
  LIBXL_IDENT,
  LIBXL_OPT_BIG_ENDIAN,
  LIBXL_OPT_LEGACY,
  LIBXL_VERSION,
  LibxlHeader,
  SAVEFILE_BYTEORDER_VALUE,
  SaveFileHeader,
  XL_MAGIC,
  XL_MANDATORY_FLAG_JSON,
  XL_MANDATORY_FLAG_STREAMV2,
} from './save-layout.ts'
import type { SaveReader } from './save-reader.ts'

/** What files that are no image begin with, and what to do about it. */
const BEGINNINGS: readonly (readonly [string, string])[] = [
  ['\x1f\x8b', 'a file compressed with gzip: unpack it first (gunzip)'],
  ['\x28\xb5\x2f\xfd', 'a file compressed with zstd: unpack it first (unzstd)'],
  ['\xfd7zXZ\0', 'a file compressed with xz: unpack it first (unxz)'],
  ['BZh', 'a file compressed with bzip2: unpack it first (bunzip2)'],
  ['\x04\x22\x4d\x18', 'a file compressed with lz4: unpack it first (unlz4)'],
  ['\x7fELF', 'an elf file: of a core of xl dump-core the source is of kind "core"'],
  ['libvirt-xml\n \0 \r', 'an image of virsh save: save the guest with xl save'],
  ['LinuxGuestRecord', 'an image of xm save, from before Xen 4.1: restore the guest and save it with xl save'],
  ['LibxlFmt', 'a stream of libxl without the header of xl: save the guest with xl save'],
]

const MAX_CONFIG_BYTES = 1024 * 1024
const KNOWN_FLAGS = XL_MANDATORY_FLAG_JSON | XL_MANDATORY_FLAG_STREAMV2

/**
 * Reads the header of xl and returns the configuration in it, in JSON, or undefined where there is none. Throws
 * OfflineError: INVALID for another file, UNSUPPORTED for a form that is not read, CORRUPT.
 */
export function readXlHeader(reader: SaveReader): string | undefined {
  const { path } = reader
  refuseOthers(reader)
  const header = reader.read(SaveFileHeader, 'the header of xl')
  if (header.byteorder !== SAVEFILE_BYTEORDER_VALUE) {
    throw unreadSave(path, `expected the byte order of x86, found the mark 0x${header.byteorder.toString(16)}`)
  }
  const unknown = header.mandatory_flags & ~KNOWN_FLAGS
  if (unknown !== 0) {
    throw unreadSave(path, `its header has flags that are not known (0x${(unknown >>> 0).toString(16)}): a newer xl`)
  }
  if ((header.mandatory_flags & XL_MANDATORY_FLAG_STREAMV2) === 0) {
    throw unreadSave(
      path,
      'expected a stream of version 2, found the legacy form of Xen 4.5 and before: restore the guest and save it again',
    )
  }
  const end = reader.position + header.optional_data_len
  const config = readConfig(reader, header.optional_data_len)
  reader.skip(end - reader.position, 'the data of xl')
  return (header.mandatory_flags & XL_MANDATORY_FLAG_JSON) === 0 ? undefined : config
}

function refuseOthers(reader: SaveReader): void {
  const { path } = reader
  const room = Math.min(XL_MAGIC.length, reader.sizeBytes)
  const view = reader.peek(room, 'the first bytes')
  const found = Buffer.from(view.buffer, view.byteOffset, room).toString('latin1')
  if (found === XL_MAGIC) return
  const other = BEGINNINGS.find(([start]) => found.startsWith(start))
  const what = other?.[1] ?? (XL_MAGIC.startsWith(found) ? `a file of ${room} bytes` : 'something else')
  throw new OfflineError('INVALID', `expected an image of xl save at ${path}, found ${what}`)
}

/** The configuration stands first in the data: its size, then text with a final NUL. */
function readConfig(reader: SaveReader, dataBytes: number): string | undefined {
  if (dataBytes < 4) return undefined
  const sizeBytes = reader.take(4, 'the size of the configuration').getUint32(0, true)
  if (sizeBytes > dataBytes - 4) {
    throw badSave(
      reader.path,
      `its configuration is said to take ${sizeBytes} bytes, the data of xl has ${dataBytes - 4}`,
    )
  }
  if (sizeBytes > MAX_CONFIG_BYTES) {
    throw badSave(reader.path, `expected a configuration of ${MAX_CONFIG_BYTES} bytes at most, found ${sizeBytes}`)
  }
  const view = reader.take(sizeBytes, 'the configuration')
  const text = Buffer.from(view.buffer, view.byteOffset, sizeBytes).toString('utf8')
  return text.replace(/\0+$/, '')
}

/** Reads the header of libxl's stream. Throws OfflineError UNSUPPORTED or CORRUPT. */
export function readLibxlHeader(reader: SaveReader): void {
  const at = reader.position
  const { ident, version, options } = reader.read(LibxlHeader, "the header of libxl's stream", 'big')
  if (ident !== LIBXL_IDENT) {
    throw badSave(reader.path, `expected the mark LibxlFmt at byte ${at}, found 0x${ident.toString(16)}`)
  }
  if (version !== LIBXL_VERSION) {
    throw unreadSave(reader.path, `expected version ${LIBXL_VERSION} of libxl's stream, found ${version}`)
  }
  refuseBigEndian(reader, options & LIBXL_OPT_BIG_ENDIAN)
  const unknown = options & ~(LIBXL_OPT_BIG_ENDIAN | LIBXL_OPT_LEGACY)
  if (unknown !== 0) {
    throw unreadSave(
      reader.path,
      `the header of libxl's stream has options that are not known (0x${(unknown >>> 0).toString(16)})`,
    )
  }
}

/** Reads the headers of libxc's stream. Throws OfflineError UNSUPPORTED or CORRUPT. */
export function readImageHeader(reader: SaveReader): 'pv' | 'hvm' {
  const { path, position: at } = reader
  const image = reader.read(ImageHeader, "the header of libxc's stream", 'big')
  if (image.marker !== IMAGE_MARKER) {
    throw unreadSave(
      path,
      `expected the mark of libxc's stream at byte ${at}, found 0x${image.marker.toString(16)}: a legacy stream, of Xen 4.5 and before; restore the guest and save it again`,
    )
  }
  if (image.id !== IMAGE_ID) {
    throw badSave(path, `expected XENF at byte ${at + 8}, found 0x${image.id.toString(16)}`)
  }
  if (!IMAGE_VERSIONS.includes(image.version)) {
    throw unreadSave(path, `expected version 2 or 3 of libxc's stream, found ${image.version}`)
  }
  refuseBigEndian(reader, image.options & IMAGE_OPT_BIG_ENDIAN)
  const domain = reader.read(DomainHeader, 'the header of the domain')
  if (domain.page_shift !== 12) {
    throw unreadSave(path, `expected pages of 4096 bytes, found a page shift of ${domain.page_shift}`)
  }
  if (domain.type === DOMAIN_X86_PV) return 'pv'
  if (domain.type === DOMAIN_X86_HVM) return 'hvm'
  throw unreadSave(path, `expected a domain of type 1 (PV) or 2 (HVM and PVH), found ${domain.type}`)
}

function refuseBigEndian(reader: SaveReader, bit: number): void {
  if (bit !== 0) throw unreadSave(reader.path, 'expected a little-endian image, found a big-endian one')
}
