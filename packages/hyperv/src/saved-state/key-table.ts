import { checksumOf, corrupt, readBytes, type StorageFile, unsupported } from './storage-file.ts'
import {
  FileObjectPointer,
  KEY_TABLE_SIGNATURE,
  KeyEntryHeader,
  KeyTableHeader,
  KeyType,
  POINTS_TO_FILE_OBJECT,
} from './storage-layout.ts'
import type { StoredTable } from './object-tables.ts'

const MAX_TABLE_BYTES = 1 << 20
const {
  flags: FLAGS,
  size: SIZE,
  parentTable,
  parentOffset,
  checksum: CHECKSUM,
  nameSize: NAME,
} = KeyEntryHeader.offsets

/** Bytes that values of one size take in a key; those of strings and arrays stand before them. */
const FIXED_BYTES: Readonly<Record<number, number>> = {
  [KeyType.int]: 8,
  [KeyType.uint]: 8,
  [KeyType.double]: 8,
  [KeyType.bool]: 4,
  [KeyType.node]: 12,
}

export interface KeyTable extends StoredTable {
  /** From 1; keys name the table of their parent by it. */
  readonly index: number
  readonly sequence: number
}

/** One key. Where its value stands counts bytes of the file. */
export interface StoredKey {
  readonly name: string
  /** KeyType. */
  readonly type: number
  /** What `parent` of its children is. */
  readonly id: number
  /** 0 for what stands at the root. */
  readonly parent: number
  readonly valueOffsetBytes: number
  readonly valueSizeBytes: number
  readonly isFileObject: boolean
}

/** The header of one key table. Throws OfflineError CORRUPT. */
export function readKeyTableHeader(file: StorageFile, table: StoredTable): KeyTable {
  const what = `the key table at byte ${table.offsetBytes}`
  if (table.sizeBytes < KeyTableHeader.size || table.sizeBytes > MAX_TABLE_BYTES) {
    throw corrupt(file, `${what} should have ${MAX_TABLE_BYTES} bytes at most, it has ${table.sizeBytes}`)
  }
  const bytes = readBytes(file, table.offsetBytes, KeyTableHeader.size, what)
  const { signature, index, sequence, checksum } = KeyTableHeader.read(bytes)
  if (signature !== KEY_TABLE_SIGNATURE) throw corrupt(file, `expected ${what}, found signature ${signature}`)
  if (checksumOf(bytes, KeyTableHeader.offsets.checksum) !== checksum) {
    throw corrupt(file, `the checksum of ${what} is wrong`)
  }
  if (index === 0) throw corrupt(file, `${what} has index 0, which is the root's`)
  return { ...table, index, sequence }
}

/** The keys of one table, in its order. Throws OfflineError: CORRUPT, or UNSUPPORTED for a type of key that is not known. */
export function* readKeyTable(file: StorageFile, table: KeyTable): Generator<StoredKey> {
  const bytes = Buffer.from(readBytes(file, table.offsetBytes, table.sizeBytes, `key table ${table.index}`).buffer)
  for (let at = KeyTableHeader.size; at + KeyEntryHeader.size <= bytes.length; ) {
    const size = bytes.readUInt32LE(at + SIZE)
    // Zeros end a table; a proper one is full to its last byte.
    if (size === 0) return
    const what = `the key at byte ${at} of key table ${table.index}`
    if (size < KeyEntryHeader.size || size > bytes.length - at) {
      throw corrupt(file, `${what} counts ${size} bytes, ${bytes.length - at} are left`)
    }
    const entry = bytes.subarray(at, at + size)
    if (entry[0] !== KeyType.free) yield readKey(file, entry, { table, at, what })
    at += size
  }
}

function readKey(
  file: StorageFile,
  entry: Buffer,
  { table, at, what }: { table: KeyTable; at: number; what: string },
): StoredKey {
  const type = entry[0] as number
  const nameEnd = KeyEntryHeader.size + (entry[NAME] as number)
  const isFileObject = ((entry[FLAGS] as number) & POINTS_TO_FILE_OBJECT) !== 0
  const isCounted = !isFileObject && (type === KeyType.string || type === KeyType.array)
  if (FIXED_BYTES[type] === undefined && type !== KeyType.string && type !== KeyType.array) {
    throw unsupported(file, 'keys of types 1 and 3 to 9', `type ${type}, ${what}`)
  }
  const before = isFileObject ? FileObjectPointer.size : isCounted ? 4 : (FIXED_BYTES[type] ?? 0)
  const fits = (end: number): void => {
    if (end > entry.length) throw corrupt(file, `${what} has ${entry.length} bytes, name and value need ${end}`)
  }
  fits(nameEnd + before)
  const end = nameEnd + before + (isCounted ? entry.readUInt32LE(nameEnd) : 0)
  fits(end)
  // What follows the value fills the table up and is not part of the sum.
  if (checksumOf(entry.subarray(0, end), CHECKSUM) !== entry.readUInt32LE(CHECKSUM)) {
    throw corrupt(file, `the checksum of ${what} is wrong`)
  }
  const name = entry.subarray(KeyEntryHeader.size, nameEnd)
  const inline = nameEnd + (isCounted ? 4 : 0)
  const place = isFileObject
    ? FileObjectPointer.read(entry, nameEnd)
    : { offset: table.offsetBytes + at + inline, size: end - inline }
  return {
    name: name.toString('utf8', 0, name.at(-1) === 0 ? name.length - 1 : name.length),
    type,
    id: keyId(table.index, at),
    parent: keyId(entry.readUInt16LE(parentTable), entry.readUInt32LE(parentOffset)),
    valueOffsetBytes: Number(place.offset),
    valueSizeBytes: place.size,
    isFileObject,
  }
}

function keyId(table: number, offset: number): number {
  return table * 2 ** 32 + offset
}
