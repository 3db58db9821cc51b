import { checksumOf, corrupt, readBytes, type StorageFile, unsupported } from './storage-file.ts'
import {
  OBJECT_TABLE_OFFSET,
  OBJECT_TABLE_SIGNATURE,
  ObjectTableEntry,
  ObjectTableHeader,
  ObjectType,
} from './storage-layout.ts'

/** Hyper-V's own tables have 4 KiB. */
const TABLE_BYTES = 4096
const MAX_TABLE_BYTES = 1 << 20
/** All tables together. Keys name their tables by 16 bits, which is 256 MiB of tables of the usual size. */
const MAX_TABLES_BYTES = 256 << 20
/** One for each MiB of a guest of 4 TiB. */
const MAX_OBJECTS = 2 ** 22

export interface StoredTable {
  readonly offsetBytes: number
  readonly sizeBytes: number
}

/** What the object tables list. */
export interface StoredObjects {
  readonly keyTables: readonly StoredTable[]
  /** Offsets of file objects in bytes, ascending. */
  readonly fileObjects: Float64Array
}

/**
 * Walks the object tables, from the first at byte 8192 on. Throws OfflineError: CORRUPT when a signature or checksum is
 * wrong, a table lies outside the file, is reached twice or shares bytes with another; UNSUPPORTED for more tables or
 * objects than any guest has, and for a second replay log.
 */
export function readObjectTables(file: StorageFile, replayLogOffset: bigint): StoredObjects {
  const tables = new Map<number, StoredTable>()
  const keyTables: StoredTable[] = []
  const fileObjects: number[] = []
  const waiting: StoredTable[] = [{ offsetBytes: OBJECT_TABLE_OFFSET, sizeBytes: MAX_TABLE_BYTES }]
  let left = MAX_TABLES_BYTES
  const spend = (sizeBytes: number): void => {
    left -= Math.max(TABLE_BYTES, sizeBytes)
    if (left < 0) throw unsupported(file, `tables of ${MAX_TABLES_BYTES} bytes at most`, 'more')
  }
  for (let table = waiting.pop(); table; table = waiting.pop()) {
    const { offsetBytes } = table
    if (tables.has(offsetBytes)) throw corrupt(file, `the object table at byte ${offsetBytes} is reached twice`)
    const entries = readEntries(file, table)
    tables.set(offsetBytes, { offsetBytes, sizeBytes: ObjectTableHeader.size + entries.length })
    spend(entries.length)
    for (let at = 0; at < entries.length; at += ObjectTableEntry.size) {
      // Type 0 is an empty slot, whatever else stands in it.
      if (entries[at] === ObjectType.empty) continue
      const { type, offset, size } = readEntry(file, entries.subarray(at, at + ObjectTableEntry.size), () => {
        return `entry ${at / ObjectTableEntry.size} of the object table at byte ${offsetBytes}`
      })
      const object = { offsetBytes: Number(offset), sizeBytes: size }
      if (type === ObjectType.objectTable) waiting.push(object)
      else if (type === ObjectType.fileObject) fileObjects.push(object.offsetBytes)
      else if (type === ObjectType.keyTable) {
        spend(size)
        keyTables.push(object)
      } else if (type === ObjectType.replayLog && offset !== replayLogOffset) {
        throw unsupported(file, 'one replay log', `a second one at byte ${offset}`)
      }
    }
    if (fileObjects.length > MAX_OBJECTS) throw unsupported(file, `${MAX_OBJECTS} file objects at most`, 'more')
  }
  refuseOverlaps(file, [...tables.values(), ...keyTables])
  return { keyTables, fileObjects: Float64Array.from(fileObjects).sort() }
}

function readEntries(file: StorageFile, { offsetBytes, sizeBytes }: StoredTable): Uint8Array {
  const what = `the object table at byte ${offsetBytes}`
  const header = ObjectTableHeader.read(readBytes(file, offsetBytes, ObjectTableHeader.size, what))
  if (header.signature !== OBJECT_TABLE_SIGNATURE) {
    throw corrupt(file, `expected ${what}, found signature 0x${header.signature.toString(16)}`)
  }
  const entryBytes = header.entries * ObjectTableEntry.size
  const room = Math.min(sizeBytes, MAX_TABLE_BYTES) - ObjectTableHeader.size
  if (entryBytes > room) throw corrupt(file, `${what} counts ${header.entries} entries, it has room for ${room} bytes`)
  return readBytes(file, offsetBytes + ObjectTableHeader.size, entryBytes, what)
}

function readEntry(file: StorageFile, bytes: Uint8Array, what: () => string): ReturnType<typeof ObjectTableEntry.read> {
  const entry = ObjectTableEntry.read(bytes)
  if (checksumOf(bytes, ObjectTableEntry.offsets.checksum) === entry.checksum) return entry
  throw corrupt(file, `the checksum of ${what()} is wrong`)
}

/** Tables that share bytes would let a small file name more than it holds. */
function refuseOverlaps(file: StorageFile, tables: readonly StoredTable[]): void {
  let end = 0
  for (const { offsetBytes, sizeBytes } of [...tables].sort((a, b) => a.offsetBytes - b.offsetBytes)) {
    if (offsetBytes < end) throw corrupt(file, `two of its tables share byte ${offsetBytes}`)
    end = offsetBytes + sizeBytes
  }
}
