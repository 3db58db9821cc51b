import { readKeyTable, readKeyTableHeader, type KeyTable } from './key-table.ts'
import type { StoredTable } from './object-tables.ts'
import { corrupt, hex, readBytes, type StorageFile, unsupported } from './storage-file.ts'
import { KeyType } from './storage-layout.ts'

/** Hyper-V's own files have hundreds of either. */
const MAX_KEYS = 2 ** 17
const MAX_NODES = 2 ** 17
const MAX_DEPTH = 32
/** Of a path; those of Hyper-V have some hundred. */
const MAX_PATH_LENGTH = 1024
/** One for each MiB of a guest of 4 TiB. */
const MAX_NUMBERED = 2 ** 22
/** Of an integer that is a number here. */
const INT_BYTES = 8

/** Where a value stands in the file. */
export interface StoredValue {
  readonly path: string
  /** KeyType. */
  readonly type: number
  readonly offsetBytes: number
  readonly sizeBytes: number
  readonly isFileObject: boolean
}

/** Values of keys that differ in a number only, such as RamBlock0, RamBlock1 …: millions of them, so kept in columns. */
export interface NumberedValues {
  /** Number of values. */
  readonly length: number
  /** Ascending. */
  readonly numbers: Float64Array
  readonly offsets: Float64Array
  readonly sizes: Float64Array
}

export interface KeyStore {
  /**
   * By path, such as `/savedstate/VmVersion`; without the numbered ones. Several have one path where nodes of one name
   * stand side by side, as in a list.
   */
  readonly values: ReadonlyMap<string, readonly StoredValue[]>
  readonly numbered: NumberedValues
  /** Values that stand in a part of the file that no object table lists. */
  readonly unlisted: number
}

/**
 * All keys of the file. Those at `numbered.parent` whose name is `numbered.name` and a number become `numbered`. Throws
 * OfflineError: CORRUPT when a table, a key or the tree of keys is broken or two numbered keys are one, UNSUPPORTED for
 * more keys than any saved state has.
 */
export function readKeyStore(
  file: StorageFile,
  objects: { keyTables: readonly StoredTable[]; fileObjects: Float64Array },
  options: { numbered: { parent: string; name: string } },
): KeyStore {
  const nodes = new Map<number, { name: string; parent: number }>()
  const leaves: { name: string; parent: number; value: Omit<StoredValue, 'path'> }[] = []
  const series = new Columns(file, options.numbered.name)
  let unlisted = 0
  for (const table of activeTables(file, objects.keyTables)) {
    for (const key of readKeyTable(file, table)) {
      if (key.isFileObject && !includes(objects.fileObjects, key.valueOffsetBytes)) unlisted++
      const place = { offsetBytes: key.valueOffsetBytes, sizeBytes: key.valueSizeBytes }
      const value = { type: key.type, isFileObject: key.isFileObject, ...place }
      if (key.type === KeyType.node) {
        nodes.set(key.id, { name: key.name, parent: key.parent })
        if (nodes.size > MAX_NODES) throw unsupported(file, `${MAX_NODES} nodes of keys at most`, 'more')
      } else if (!series.take(key)) {
        leaves.push({ name: key.name, parent: key.parent, value })
        if (leaves.length > MAX_KEYS) throw unsupported(file, `${MAX_KEYS} keys at most`, 'more')
      }
    }
  }
  const pathOf = paths(file, nodes)
  const values = new Map<string, StoredValue[]>()
  for (const { name, parent, value } of leaves) {
    const path = joined(file, pathOf(parent), name)
    const others = values.get(path)
    if (others) others.push({ path, ...value })
    else values.set(path, [{ path, ...value }])
  }
  return { values, numbered: series.sorted(pathOf, options.numbered.parent), unlisted }
}

/** The value at `path`, or undefined. Throws OfflineError CORRUPT when there are two. */
export function findValue(file: StorageFile, keys: KeyStore, path: string): StoredValue | undefined {
  const [value, other] = keys.values.get(path) ?? []
  if (other) throw corrupt(file, `there are two keys ${path}`)
  return value
}

/** A byte array of `maxBytes` at most. Throws OfflineError UNSUPPORTED for another type or a longer one. */
export function readArray(file: StorageFile, value: StoredValue, maxBytes: number): Uint8Array<ArrayBuffer> {
  const { path, type, sizeBytes } = value
  if (type !== KeyType.array) throw unsupported(file, `an array at ${path}`, `a value of type ${type}`)
  if (sizeBytes > maxBytes) throw unsupported(file, `${maxBytes} bytes at most at ${path}`, `${sizeBytes}`)
  return readBytes(file, value.offsetBytes, sizeBytes, path)
}

/** An integer. Throws OfflineError UNSUPPORTED for a value of another type. */
export function readInt(file: StorageFile, { path, type, offsetBytes, isFileObject }: StoredValue): bigint {
  if ((type !== KeyType.int && type !== KeyType.uint) || isFileObject) {
    throw unsupported(file, `an integer at ${path}`, `a value of type ${type}`)
  }
  return new DataView(readBytes(file, offsetBytes, INT_BYTES, path).buffer).getBigInt64(0, true)
}

/** Of two tables with one index the later one counts (dissect.hypervisor; no file with two has been seen). */
function activeTables(file: StorageFile, tables: readonly StoredTable[]): Iterable<KeyTable> {
  const active = new Map<number, KeyTable>()
  for (const stored of tables) {
    const table = readKeyTableHeader(file, stored)
    const other = active.get(table.index)
    const ahead = other && (table.sequence - other.sequence) & 0xffff
    if (ahead === 0) throw corrupt(file, `there are two key tables ${table.index} of sequence ${table.sequence}`)
    if (ahead === undefined || ahead < 0x8000) active.set(table.index, table)
  }
  return active.values()
}

/** Paths of nodes by their id, each found once. Throws OfflineError CORRUPT when a parent is absent or is its own. */
function paths(
  file: StorageFile,
  nodes: ReadonlyMap<number, { name: string; parent: number }>,
): (id: number) => string {
  const known = new Map<number, string>([[0, '']])
  return (id) => {
    const open: number[] = []
    let at = id
    for (; !known.has(at); at = nodes.get(at)?.parent as number) {
      if (!nodes.has(at)) throw corrupt(file, `no node stands at ${hex(at)}, where a key has its parent`)
      open.push(at)
      if (open.length > MAX_DEPTH) throw corrupt(file, `its keys nest deeper than ${MAX_DEPTH}`)
    }
    for (const node of open.reverse()) {
      const { name, parent } = nodes.get(node) as { name: string; parent: number }
      known.set(node, joined(file, known.get(parent) as string, name))
    }
    return known.get(id) as string
  }
}

function joined(file: StorageFile, parent: string, name: string): string {
  if (parent.length + name.length < MAX_PATH_LENGTH) return `${parent}/${name}`
  throw unsupported(
    file,
    `paths of keys of ${MAX_PATH_LENGTH} characters at most`,
    `a longer one below ${parent.slice(0, 80)}`,
  )
}

/** Collects numbered keys in typed columns. */
class Columns {
  readonly #file: StorageFile
  readonly #name: string
  readonly #rows: number[] = []

  constructor(file: StorageFile, name: string) {
    this.#file = file
    this.#name = name
  }

  /** Whether `key` is one of the numbered ones by its name; it is kept then. Throws when its value lies outside the file. */
  take(key: { name: string; parent: number; type: number; valueOffsetBytes: number; valueSizeBytes: number }): boolean {
    if (!key.name.startsWith(this.#name) || key.type !== KeyType.array) return false
    const digits = key.name.slice(this.#name.length)
    if (!/^(0|[1-9][0-9]{0,14})$/.test(digits)) return false
    const end = key.valueOffsetBytes + key.valueSizeBytes
    if (end > this.#file.sizeBytes) {
      throw corrupt(
        this.#file,
        `${key.name} should be at bytes [${key.valueOffsetBytes}, ${end}), the file has only ${this.#file.sizeBytes}: it was cut off`,
      )
    }
    this.#rows.push(Number(digits), key.parent, key.valueOffsetBytes, key.valueSizeBytes)
    if (this.#rows.length > 4 * MAX_NUMBERED) {
      throw unsupported(this.#file, `${MAX_NUMBERED} keys ${this.#name} at most`, 'more')
    }
    return true
  }

  sorted(pathOf: (id: number) => string, parent: string): NumberedValues {
    const rows = this.#rows
    const count = rows.length / 4
    const row = (i: number, column: number): number => rows[i * 4 + column] as number
    for (let i = 0; i < count; i++) {
      const path = pathOf(row(i, 1))
      if (path !== parent) throw corrupt(this.#file, `${this.#name}${row(i, 0)} stands at ${path}, expected ${parent}`)
    }
    const order = Float64Array.from({ length: count }, (_, i) => i).sort((a, b) => row(a, 0) - row(b, 0))
    const numbers = order.map((i) => row(i, 0))
    for (let i = 1; i < count; i++) {
      if (numbers[i] === numbers[i - 1])
        throw corrupt(this.#file, `there are two keys ${parent}/${this.#name}${numbers[i]}`)
    }
    return { length: count, numbers, offsets: order.map((i) => row(i, 2)), sizes: order.map((i) => row(i, 3)) }
  }
}

/** Whether ascending `offsets` have `offset`. */
function includes(offsets: Float64Array, offset: number): boolean {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((offsets[middle] as number) < offset) low = middle + 1
    else high = middle
  }
  return offsets[low] === offset
}
