import { badSave } from './bad-save.ts'
import { PAGE_BYTES } from './core-layout.ts'
import type { FilePages } from './file-memory.ts'
import { FrameRuns } from './frame-runs.ts'
import { lastWins } from './last-wins.ts'
import { refuseFragments } from './refuse-fragments.ts'
import {
  isKnownPageType,
  PAGE_BROKEN,
  PAGE_DATA_HEADER_BYTES,
  PAGE_DATA_PFN_HIGH_MASK,
  PAGE_DATA_TYPE_SHIFT,
  PAGE_XALLOC,
} from './save-layout.ts'
import type { SaveReader, SaveRecord } from './save-reader.ts'

/** As many as a record of libxc's has. */
const ENTRIES_A_PIECE = 1024
/** Frames that 52 physical address bits can name. */
const FRAME_LIMIT = 2 ** 40
/** `to` of a frame that has no page: below zero, and counting up like the others, so that such frames make runs too. */
const NO_PAGE = -(2 ** 53)

/** Where an image keeps which page: what the records of type PAGE_DATA say, and of each frame the last word. */
export class SavePages {
  /** Frames said to have memory whose content is not in the image: broken, or left for the restorer to allocate. */
  readonly untold = { broken: 0, allocated: 0 }
  readonly #log = new FrameRuns(PAGE_BYTES)
  /** As long as frames only ascend nothing is said twice. */
  #end = 0
  #isAscending = true

  /** Takes in one record, whose header has been read, and leaves the reader after its frame numbers. Throws OfflineError. */
  add(reader: SaveReader, record: SaveRecord): void {
    const where = `the record PAGE_DATA at byte ${record.startBytes}`
    const count = this.#readCount(reader, record, where)
    const first = reader.position + count * 8
    let at = first
    for (let done = 0; done < count; done += ENTRIES_A_PIECE) {
      const entries = reader.take(Math.min(ENTRIES_A_PIECE, count - done) * 8, where)
      for (let i = 0; i * 8 < entries.byteLength; i++) {
        const high = entries.getUint32(i * 8 + 4, true)
        const pfn = (high & PAGE_DATA_PFN_HIGH_MASK) * 2 ** 32 + entries.getUint32(i * 8, true)
        const type = high >>> PAGE_DATA_TYPE_SHIFT
        const entry = (): string => `entry ${done + i} of ${where}`
        if (!isKnownPageType(type)) throw badSave(reader.path, `${entry()} has page type ${type}`)
        if (pfn >= FRAME_LIMIT) {
          throw badSave(reader.path, `${entry()} names frame 0x${pfn.toString(16)}, beyond any memory`)
        }
        if (this.#addFrame(pfn, type, at)) at += PAGE_BYTES
      }
      refuseFragments(reader.path, 'PAGE_DATA', this.#log)
    }
    const expected = at - record.startBytes
    if (expected === record.sizeBytes) return
    throw badSave(
      reader.path,
      `${where} should have ${expected} bytes for its ${count} frames, of which ${(at - first) / PAGE_BYTES} have a page, it has ${record.sizeBytes}`,
    )
  }

  /** All frames that have a page. Throws OfflineError UNSUPPORTED where they are too scattered. */
  finish(path: string): FilePages {
    const pages = this.#isAscending ? this.#log : lastWins(this.#log)
    refuseFragments(path, 'PAGE_DATA', pages)
    return { pages, backed: pages.countFrames() }
  }

  /** Whether the frame has a page, which is then at `offsetBytes`. */
  #addFrame(pfn: number, type: number, offsetBytes: number): boolean {
    if (pfn < this.#end) this.#isAscending = false
    else this.#end = pfn + 1
    if (type < PAGE_BROKEN) {
      this.#log.add(pfn, offsetBytes)
      return true
    }
    if (type === PAGE_BROKEN) this.untold.broken++
    if (type === PAGE_XALLOC) this.untold.allocated++
    if (!this.#isAscending) this.#log.add(pfn, NO_PAGE + pfn * PAGE_BYTES)
    return false
  }

  #readCount(reader: SaveReader, record: SaveRecord, where: string): number {
    const room = Math.floor((record.sizeBytes - PAGE_DATA_HEADER_BYTES) / 8)
    if (room < 1) throw badSave(reader.path, `${where} has ${record.sizeBytes} bytes, too few for a frame`)
    const count = reader.take(PAGE_DATA_HEADER_BYTES, where).getUint32(0, true)
    if (count >= 1 && count <= room) return count
    throw badSave(reader.path, `${where} should name from 1 to ${room} frames, as its size allows, it names ${count}`)
  }
}
