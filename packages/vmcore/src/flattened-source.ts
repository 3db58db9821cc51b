import { type ByteSource, readBytes } from './byte-source.ts'
import { ExtentList, ExtentMap } from './extent-map.ts'
import { checkInside } from './check-inside.ts'
import { pieces } from './flattened-pieces.ts'
import {
  END_FLAG_FLAT_HEADER,
  MAKEDUMPFILE_SIGNATURE,
  MAX_SIZE_MDF_HEADER,
  makedumpfile_data_header,
  makedumpfile_header,
  TYPE_FLAT_HEADER,
  VERSION_FLAT_HEADER,
} from './kdump-layout.ts'
import type { SharedBytes } from './shared-bytes.ts'
import { VmcoreError } from './vmcore-error.ts'

/** 384 MiB of index: 256 GiB of the 16 KiB records that QEMU writes. */
const MAX_RECORDS = 1 << 24
/** Record headers that lie close together are found in one read. */
const SCAN_BYTES = 1 << 18

export function isFlattened(start: Uint8Array): boolean {
  const { signature } = makedumpfile_header.read(start, 0, 'big')
  return signature === MAKEDUMPFILE_SIGNATURE
}

/**
 * The plain file inside a flattened one, read in place: the records are indexed, not copied. Where records overlap, the
 * later one holds, as in `makedumpfile -R`. Bytes that no record holds cannot be read.
 */
export async function openFlattenedSource(file: ByteSource, signal?: AbortSignal): Promise<ByteSource> {
  const { type, version } = makedumpfile_header.read(
    await readBytes(file, 0, makedumpfile_header.size, 'makedumpfile_header'),
    0,
    'big',
  )
  if (type !== TYPE_FLAT_HEADER || version !== VERSION_FLAT_HEADER) {
    throw new VmcoreError(
      'UNSUPPORTED',
      `a flattened file of type ${type}, version ${version}; only type 1, version 1 is handled`,
    )
  }
  return new FlattenedSource(file, ExtentMap.of(await indexRecords(file, signal), 'last'))
}

class FlattenedSource implements ByteSource {
  readonly #file: ByteSource
  readonly #map: ExtentMap

  constructor(file: ByteSource, map: ExtentMap) {
    this.#file = file
    this.#map = map
  }

  get sizeBytes(): number {
    return this.#map.end
  }

  async read(into: Uint8Array, position: number, what: string): Promise<void> {
    const hole = await this.#fill(into, position, what)
    if (hole !== undefined) {
      throw new VmcoreError('CORRUPT', `${what}: no record of the flattened file holds offset ${hole}`)
    }
  }

  async readSparse(into: Uint8Array, position: number, what: string): Promise<void> {
    await this.#fill(into, position, what)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]()
  }

  async lend<T>(use: (bytes: SharedBytes) => Promise<T>): Promise<T> {
    return await this.#file.lend(({ fd }) => use({ fd, sizeBytes: this.sizeBytes, extents: this.#map.arrays() }))
  }

  /** Returns the first offset that no record holds, if there is one. */
  async #fill(into: Uint8Array, position: number, what: string): Promise<number | undefined> {
    checkInside(this.#map.end, into.length, position, what)
    let hole: number | undefined
    for (const { at, length, filePosition } of pieces(this.#map, position, into.length)) {
      const part = into.subarray(at, at + length)
      if (filePosition !== undefined) await this.#file.read(part, filePosition, what)
      else {
        hole ??= position + at
        part.fill(0)
      }
    }
    return hole
  }
}

async function indexRecords(file: ByteSource, signal: AbortSignal | undefined): Promise<ExtentList> {
  const records = new ExtentList()
  const window = new Uint8Array(SCAN_BYTES)
  let windowStart = 0
  let windowEnd = 0
  let indexed = 0
  for (let position = MAX_SIZE_MDF_HEADER; ; ) {
    const what = `header of record ${indexed} of the flattened file`
    if (position < windowStart || position + makedumpfile_data_header.size > windowEnd) {
      signal?.throwIfAborted()
      checkInside(file.sizeBytes, makedumpfile_data_header.size, position, what)
      windowStart = position
      windowEnd = Math.min(position + SCAN_BYTES, file.sizeBytes)
      await file.read(window.subarray(0, windowEnd - windowStart), windowStart, what)
    }
    const { offset, buf_size } = makedumpfile_data_header.read(window, position - windowStart, 'big')
    position += makedumpfile_data_header.size
    if (offset === END_FLAG_FLAT_HEADER && buf_size === END_FLAG_FLAT_HEADER) return records
    if (offset < 0n || buf_size <= 0n || offset + buf_size > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new VmcoreError('CORRUPT', `${what} says offset ${offset}, size ${buf_size}, at offset ${position}`)
    }
    const size = Number(buf_size)
    checkInside(file.sizeBytes, size, position, `record ${indexed} of the flattened file`)
    records.add(Number(offset), size, position)
    position += size
    if (++indexed > MAX_RECORDS) {
      throw new VmcoreError(
        'UNSUPPORTED',
        `a flattened file of more than ${MAX_RECORDS} records; make it a plain one first: makedumpfile -R`,
      )
    }
  }
}
