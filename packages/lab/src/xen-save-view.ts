import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import { LabError } from './lab-error.ts'
import type { MemoryView } from './memory-view.ts'

const FRAME_BYTES = 4096
const PAGE_DATA = 1
const END = 0

/** The guest of an image of `xl save`, read the plain way: the whole file at once, every frame in a map. */
export interface XenSaveView extends MemoryView {
  /** Page type of each frame that has a page: 0, or the level of the page table it is of a PV guest, plus 8 when pinned. */
  readonly types: ReadonlyMap<number, number>
  /** Offsets in the file of every record of libxc's stream. */
  readonly records: readonly { readonly type: number; readonly offset: number; readonly size: number }[]
  /** Where libxc's stream begins and ends. */
  readonly stream: { readonly offset: number; readonly end: number }
}

/**
 * Opens the image of a fixture. `extents` holds the frames that `frames` counts from 0, and those of the image beyond. It
 * shares no code with what is tested, and knows only images of guests that stood still, whose records come once.
 */
export function openXenSaveView(save: string, frames: number): XenSaveView {
  const bytes = readFileSync(save)
  const libxl = bytes.indexOf('LibxlFmt')
  const marker = bytes.indexOf(Buffer.alloc(8, 0xff), libxl)
  if (libxl < 0 || marker !== libxl + 24) throw new LabError(`${save} is no image of xl save`)
  const offsets = new Map<number, number>()
  const types = new Map<number, number>()
  const records: { type: number; offset: number; size: number }[] = []
  let at = marker + 40
  for (let type = -1; type !== END; ) {
    type = bytes.readUInt32LE(at)
    const size = bytes.readUInt32LE(at + 4)
    records.push({ type, offset: at, size })
    if (type === PAGE_DATA) {
      const count = bytes.readUInt32LE(at + 8)
      let page = at + 16 + count * 8
      for (let i = 0; i < count; i++) {
        const entry = bytes.readBigUInt64LE(at + 16 + i * 8)
        const pageType = Number(entry >> 60n)
        if (pageType >= 0xd) continue
        const pfn = Number(entry & 0xf_ffff_ffff_ffffn)
        if (offsets.has(pfn)) throw new LabError(`${save} has frame ${pfn} twice`)
        offsets.set(pfn, page)
        types.set(pfn, pageType)
        page += FRAME_BYTES
      }
    }
    at += 8 + Math.ceil(size / 8) * 8
  }
  const fd = openSync(save, 'r')
  const backed = PfnSet.of([...offsets.keys()].map((start) => ({ start, count: 1 })))
  const isReadable = (range: PfnRange): boolean => backed.next(range.start, false, endOf(range)) === endOf(range)
  const read = (range: PfnRange, into: Uint8Array): void => {
    for (let i = 0; i < range.count; i++) {
      const offset = offsets.get(range.start + i)
      if (offset === undefined) throw new RangeError(`frame ${range.start + i} is not in ${save}`)
      readSync(fd, into, i * FRAME_BYTES, FRAME_BYTES, offset)
    }
  }
  return {
    frameBytes: FRAME_BYTES,
    machine: 'x86_64',
    extents: mergeRanges([{ start: 0, count: frames }, ...backed.allRuns()]),
    backed,
    types,
    records,
    stream: { offset: marker, end: at },
    isReadable,
    tryRead: (range, into) => {
      if (!isReadable(range)) return false
      read(range, into)
      return true
    },
    toPfn: (gfn) => gfn,
    read,
    [Symbol.dispose]: () => closeSync(fd),
  }
}
