import { decompressXpress } from './xpress.ts'

/** In place of the size of a compressed page (two public parsers: Pascal Beyer's, and nikaiw/VMkatz from Microsoft's DLL). */
const END = 0xffff_ffff
const FILL_PAGE = 0xffff_fffe
const FILL_PAGES = 0xffff_fffd
const SIZED = 0xffff_fffc

const PAGE_BYTES = 4096
/** Whole pages make 256 records of 1 MiB; sized ones may be smaller. */
const MAX_RECORDS = 4096
/** Output offset, output size, kind, input offset, input size. */
const COLUMNS = 5
const RAW = 0
const FILL = 1
const COMPRESSED = 2

/** Why bytes are no page records: where in them, and what stands there. */
export class RecordError extends Error {
  override readonly name = 'RecordError'
}

/**
 * The content of a RamBlock that is not stored as it is: records of one page each. A u32 is the size of the page as it is
 * stored: 4096 raw, less compressed with XPRESS. 0xfffffffe: a page filled with the u64 that follows; 0xfffffffd: as many
 * such pages as the u32 after that u64 says; 0xfffffffc: two u32, output and stored size, of a part of a page; 0xffffffff
 * ends them.
 */
export class PageRecords {
  /** Bytes that the records make. */
  readonly sizeBytes: number
  readonly #bytes: Uint8Array
  readonly #records: Int32Array
  readonly #scratch = new Uint8Array(PAGE_BYTES)

  /** Looks at all records of `bytes`, decompressing none. Throws RecordError unless they make `maxBytes` at most. */
  constructor(bytes: Uint8Array, maxBytes: number) {
    const records: number[] = []
    this.sizeBytes = scan(bytes, maxBytes, records)
    this.#bytes = bytes
    this.#records = Int32Array.from(records)
  }

  /** Fills `into` with what the records make from `offsetBytes` on. Throws RecordError when a page does not decompress. */
  read(offsetBytes: number, into: Uint8Array): void {
    const end = offsetBytes + into.length
    if (end > this.sizeBytes) throw new RecordError(`its pages make ${this.sizeBytes} bytes, ${end} are needed`)
    for (let row = this.#firstEndingAfter(offsetBytes); row < this.#records.length; row += COLUMNS) {
      const at = this.#records[row] as number
      if (at >= end) return
      const size = this.#records[row + 1] as number
      const from = Math.max(at, offsetBytes)
      const to = Math.min(at + size, end)
      this.#make(row, from - at, into.subarray(from - offsetBytes, to - offsetBytes))
    }
  }

  /** A part of what one record makes, from byte `from` of it on. */
  #make(row: number, from: number, into: Uint8Array): void {
    const [size, kind, at, stored] = [1, 2, 3, 4].map((column) => this.#records[row + column]) as [
      number,
      number,
      number,
      number,
    ]
    const input = this.#bytes.subarray(at, at + stored)
    if (kind === RAW) into.set(input.subarray(from, from + into.length))
    else if (kind === FILL) fill(into, input, from)
    else {
      const isWhole = into.length === size
      const page = isWhole ? into : this.#scratch.subarray(0, size)
      if (decompressXpress(input, page) === -1) {
        throw new RecordError(`the ${stored} bytes at ${at} are no xpress of a page of ${size} bytes`)
      }
      if (!isWhole) into.set(page.subarray(from, from + into.length))
    }
  }

  #firstEndingAfter(offsetBytes: number): number {
    let low = 0
    let high = this.#records.length / COLUMNS
    while (low < high) {
      const middle = (low + high) >>> 1
      const end = (this.#records[middle * COLUMNS] as number) + (this.#records[middle * COLUMNS + 1] as number)
      if (end > offsetBytes) high = middle
      else low = middle + 1
    }
    return low * COLUMNS
  }
}

/** Repeats the eight bytes of `pattern`, from byte `from` of the repetition on. */
function fill(into: Uint8Array, pattern: Uint8Array, from: number): void {
  const first = pattern[0] as number
  if (pattern.every((byte) => byte === first)) into.fill(first)
  else for (let i = 0; i < into.length; i++) into[i] = pattern[(from + i) & 7] as number
}

/** Appends to `records` and returns how many bytes they make. */
function scan(bytes: Uint8Array, maxBytes: number, records: number[]): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  let out = 0
  const take = (count: number): number => {
    if (count > bytes.length - at) {
      throw new RecordError(`at byte ${at} ${count} bytes are expected, ${bytes.length - at} are left`)
    }
    at += count
    return at - count
  }
  const word = (): number => view.getUint32(take(4), true)
  const add = (size: number, kind: number, from: number, stored: number): void => {
    if (size > maxBytes - out) {
      throw new RecordError(`the record before byte ${at} makes ${size} bytes, room is for ${maxBytes - out}`)
    }
    if (records.length >= MAX_RECORDS * COLUMNS) throw new RecordError(`there are more than ${MAX_RECORDS} records`)
    records.push(out, size, kind, from, stored)
    out += size
  }
  while (at < bytes.length) {
    const tag = word()
    if (tag === END) {
      if (at < bytes.length) throw new RecordError(`${bytes.length - at} bytes follow the end at byte ${at - 4}`)
      break
    }
    if (tag === FILL_PAGE) add(PAGE_BYTES, FILL, take(8), 8)
    else if (tag === FILL_PAGES) {
      const pattern = take(8)
      const pages = word()
      if (pages === 0) throw new RecordError(`no page is filled at byte ${at - 16}`)
      add(pages * PAGE_BYTES, FILL, pattern, 8)
    } else {
      const size = tag === SIZED ? word() : PAGE_BYTES
      const stored = tag === SIZED ? word() : tag
      if (size === 0 || size > PAGE_BYTES || stored === 0 || stored > size) {
        throw new RecordError(`${stored} bytes for ${size} at byte ${at - 4} are no record of a page`)
      }
      add(size, stored === size ? RAW : COMPRESSED, take(stored), stored)
    }
  }
  return out
}
