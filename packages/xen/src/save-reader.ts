import type { Struct } from '@ullage/layout'
import { badSave } from './bad-save.ts'
import type { GuestFile } from './guest-file.ts'
import { RecordHeader } from './save-layout.ts'

/** Room for the frame numbers of one PAGE_DATA record of libxc's, which has 1024 at most. */
const WINDOW_BYTES = 16 * 1024

/** One record of either stream: where its body is. */
export interface SaveRecord {
  readonly type: number
  readonly startBytes: number
  readonly sizeBytes: number
}

/** Goes through an image from front to back; pages are gone past, not read. */
export class SaveReader {
  readonly path: string
  readonly #file: GuestFile
  readonly #window = new Uint8Array(WINDOW_BYTES)
  #windowStart = 0
  #windowEnd = 0
  #position = 0

  constructor(file: GuestFile) {
    this.#file = file
    this.path = file.path
  }

  /** Offset in the file of the next byte, in bytes. */
  get position(): number {
    return this.#position
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes
  }

  /** The next bytes, as they stand until the next call, and goes past them. Throws OfflineError CORRUPT, naming `what`, when the file ends. */
  take(sizeBytes: number, what: string): DataView {
    const view = this.peek(sizeBytes, what)
    this.#position += sizeBytes
    return view
  }

  /** The next bytes as `layout` has them. */
  read<T>(layout: Struct<T>, what: string, endian: 'little' | 'big' = 'little'): T {
    return layout.decode(this.take(layout.size, what), 0, endian === 'little')
  }

  /** Goes past bytes without reading them. */
  skip(sizeBytes: number, what: string): void {
    this.#checkLeft(sizeBytes, what)
    this.#position += sizeBytes
  }

  /** The header of the next record, whose body and padding are in the file. `what` names the stream. */
  record(what: string): SaveRecord {
    const at = this.#position
    const { type, length } = this.read(RecordHeader, `${what} of the next record`)
    const padded = Math.ceil(length / 8) * 8
    this.#checkLeft(padded, `${what} record of type 0x${type.toString(16)} at byte ${at}`)
    return { type, startBytes: this.#position, sizeBytes: length }
  }

  /** Goes to the end of a record, padding included. */
  leave(record: SaveRecord): void {
    this.#position = record.startBytes + Math.ceil(record.sizeBytes / 8) * 8
  }

  /** The next bytes, as they stand until the next call. */
  peek(sizeBytes: number, what: string): DataView {
    this.#checkLeft(sizeBytes, what)
    const at = this.#position
    if (sizeBytes > WINDOW_BYTES) {
      const bytes = new Uint8Array(sizeBytes)
      this.#file.read(at, bytes, what)
      return new DataView(bytes.buffer)
    }
    if (at < this.#windowStart || at + sizeBytes > this.#windowEnd) {
      const room = Math.min(WINDOW_BYTES, this.#file.sizeBytes - at)
      this.#file.read(at, this.#window.subarray(0, room), what)
      this.#windowStart = at
      this.#windowEnd = at + room
    }
    return new DataView(this.#window.buffer, at - this.#windowStart, sizeBytes)
  }

  #checkLeft(sizeBytes: number, what: string): void {
    const left = this.#file.sizeBytes - this.#position
    if (sizeBytes <= left) return
    throw badSave(
      this.path,
      `${what} should take ${sizeBytes} bytes from byte ${this.#position} on, the file has only ${this.#file.sizeBytes}: ` +
        'it was cut off, as when the disk is full; save the guest again',
    )
  }
}
