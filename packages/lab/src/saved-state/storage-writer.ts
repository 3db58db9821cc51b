import { closeSync, openSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'

const PAGE = 4096
const TABLE_ROOM = PAGE - 10
const ENTRIES_A_TABLE = Math.floor((PAGE - 8) / 18)
/** Values of this size and more stand outside the key tables. */
const OUTSIDE_BYTES = 2048
const FREE_BYTES_MIN = 22

const TYPES = { int: 3, string: 6, array: 7, node: 9 } as const

interface Entry {
  readonly name: string
  readonly parent: string
  readonly type: number
  readonly flags: number
  readonly value: Buffer
}

/** What a container can be made with besides its keys. */
export interface StorageOptions {
  /** Sequence numbers of the two headers; the first counts unless the second is later. */
  readonly sequences?: readonly [number, number]
  /** Keeps key table `table` (from 1) unwritten in its place: it stands in the replay log, which has one entry. */
  readonly pending?: { readonly table: number }
  /** File objects are listed by no object table. */
  readonly unlisted?: boolean
}

/**
 * Writes a container HyperVStorage, version 4.0, as microsoft/openvmm support/hvs_file/FORMAT.md describes it: for tests,
 * and sharing no code with what reads it. Large values go to the file at once; `finish` writes all tables.
 */
export class StorageWriter {
  readonly #fd: number
  readonly #entries = new Map<string, Entry>()
  readonly #objects: { offset: number; size: number }[] = []
  #end = 3 * PAGE

  constructor(path: string) {
    this.#fd = openSync(path, 'w')
  }

  int(path: string, value: number): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(value))
    this.#add(path, TYPES.int, 0, bytes)
  }

  string(path: string, text: string): void {
    const bytes = Buffer.from(`${text}\0`, 'utf16le')
    this.#add(path, TYPES.string, 0, Buffer.concat([u32(bytes.length), bytes]))
  }

  /** `apart`: outside the key tables whatever its size. */
  array(path: string, value: Uint8Array, { apart = value.length >= OUTSIDE_BYTES } = {}): void {
    if (!apart) {
      this.#add(path, TYPES.array, 0, Buffer.concat([u32(value.length), value]))
      return
    }
    const offset = this.#end
    this.#write(value, offset)
    this.#end += roundUp(value.length)
    this.#objects.push({ offset, size: roundUp(value.length) })
    this.#add(path, TYPES.array, 1, Buffer.concat([u32(value.length), u64(offset)]))
  }

  finish(options: StorageOptions = {}): void {
    const tables = layOut([...this.#entries])
    const firstTable = this.#end
    this.#end += tables.length * PAGE
    const log = { offset: this.#end, size: 3 * PAGE }
    this.#end += log.size
    const pending = options.pending?.table
    tables.forEach((table, i) => {
      this.#write(pending === i + 1 ? Buffer.alloc(PAGE) : table, firstTable + i * PAGE)
    })
    this.#writeLog(
      log,
      pending === undefined ? [] : [[firstTable + (pending - 1) * PAGE, tables[pending - 1] as Buffer]],
    )
    const listed = [
      ...tables.map((_, i) => ({ type: 2, offset: firstTable + i * PAGE, size: PAGE, flags: 1 })),
      ...(options.unlisted ? [] : this.#objects).map((object) => ({ type: 3, ...object, flags: 0 })),
    ]
    this.#writeObjectTables(listed)
    const [first, second] = options.sequences ?? [1, 0]
    for (const [sequence, at] of [
      [first, 0],
      [second, PAGE],
    ] as const) {
      const header = Buffer.concat([
        u32(0x0128_2014),
        u32(0),
        u16(sequence),
        u32(0x400),
        u32(0),
        u32(0),
        u32(PAGE),
        u64(log.offset),
        u64(log.size),
        u32(PAGE),
      ])
      this.#write(Buffer.concat([summed(header, 4), Buffer.alloc(PAGE - header.length)]), at)
    }
    closeSync(this.#fd)
  }

  /** Keys, with the nodes above them. */
  #add(path: string, type: number, flags: number, value: Buffer): void {
    const cut = path.lastIndexOf('/')
    const parent = path.slice(0, cut)
    if (parent !== '' && !this.#entries.has(parent)) this.#add(parent, TYPES.node, 0, Buffer.alloc(12))
    this.#entries.set(path, { name: path.slice(cut + 1), parent, type, flags, value })
  }

  #writeObjectTables(listed: readonly { type: number; offset: number; size: number; flags: number }[]): void {
    const entry = (type: number, offset: number, size: number, flags: number): Buffer =>
      summed(Buffer.concat([Buffer.of(type), u32(0), u64(offset), u32(size), Buffer.of(flags)]), 1)
    const usable = ENTRIES_A_TABLE - 1
    const count = Math.max(1, Math.ceil(listed.length / usable))
    // The first has its place, the others follow everything else.
    const places = Array.from({ length: count }, (_, i) => (i === 0 ? 2 * PAGE : this.#end + (i - 1) * PAGE))
    places.forEach((place, i) => {
      const entries = listed.slice(i * usable, (i + 1) * usable).map((o) => entry(o.type, o.offset, o.size, o.flags))
      while (entries.length < usable) entries.push(entry(0, 0, 0, 0))
      const next = places[i + 1]
      entries.push(next === undefined ? entry(0, 0, 0, 0) : entry(1, next, PAGE, 0))
      const table = Buffer.concat([u32(0x0111_0001), u32(ENTRIES_A_TABLE), ...entries])
      this.#write(Buffer.concat([table, Buffer.alloc(PAGE - table.length)]), place)
    })
  }

  #writeLog(log: { offset: number; size: number }, writes: readonly (readonly [number, Buffer])[]): void {
    const room = Math.floor((PAGE - 34) / 28)
    const header = summed(
      Buffer.concat([u32(0x0111_0003), u32(0), u32(writes.length), Buffer.of(0), u32(room), Buffer.alloc(17)]),
      4,
    )
    const entries = writes.map(([destination, data], i) =>
      summed(Buffer.concat([u64(destination), u32(data.length), u64((i + 1) * PAGE), u32(0), u32(crc32(data))]), 20),
    )
    const page = Buffer.concat([header, ...entries])
    this.#write(Buffer.concat([page, Buffer.alloc(log.size - page.length)]), log.offset)
    writes.forEach(([, data], i) => this.#write(data, log.offset + (i + 1) * PAGE))
  }

  #write(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done)
    }
  }
}

/** Key tables of one page each. A key's parent comes before it; what a table has left is a free key or part of the last. */
function layOut(entries: readonly (readonly [string, Entry])[]): Buffer[] {
  const places = new Map<string, { table: number; offset: number }>([['', { table: 0, offset: 0 }]])
  const children = new Map<string, number>()
  for (const [, { parent }] of entries) children.set(parent, (children.get(parent) ?? 0) + 1)
  const sequences = new Map<string, number>()
  const tables: Buffer[][] = [[]]
  let used = 0
  for (const [path, entry] of entries) {
    const name = Buffer.from(`${entry.name}\0`)
    const size = 21 + name.length + entry.value.length
    if (used + size > TABLE_ROOM) {
      tables.push([])
      used = 0
    }
    const left = TABLE_ROOM - used - size
    // Too little for a free key.
    const slack = left < FREE_BYTES_MIN ? left : 0
    const parent = places.get(entry.parent) as { table: number; offset: number }
    const sequence = (sequences.get(entry.parent) ?? 0) + 1
    sequences.set(entry.parent, sequence)
    const value =
      entry.type === TYPES.node ? Buffer.concat([Buffer.alloc(8), u32((children.get(path) ?? 0) + 1)]) : entry.value
    const bytes = Buffer.concat([
      Buffer.of(entry.type, entry.flags),
      u32(size + slack),
      u16(parent.table),
      u32(parent.offset),
      u32(0),
      u32(sequence),
      Buffer.of(name.length),
      name,
      value,
    ])
    tables.at(-1)?.push(summed(bytes, 12), Buffer.alloc(slack))
    places.set(path, { table: tables.length, offset: 10 + used })
    used += size + slack
  }
  return tables.map((parts, i) => {
    const header = summed(Buffer.concat([u16(2), u16(i + 1), u16(1), u32(0)]), 6)
    const body = Buffer.concat([header, ...parts])
    if (body.length === PAGE) return body
    // Hyper-V leaves what was there before in a free key, and no checksum.
    const free = Buffer.alloc(PAGE - body.length, 0xfd)
    Buffer.concat([Buffer.of(1, 0), u32(free.length), Buffer.alloc(15)]).copy(free)
    return Buffer.concat([body, free])
  })
}

/** With its CRC-32 at `at`, where zeros stand. */
function summed(bytes: Buffer, at: number): Buffer {
  bytes.writeUInt32LE(crc32(bytes), at)
  return bytes
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function roundUp(size: number): number {
  return Math.ceil(size / PAGE) * PAGE
}
