import { closeSync, openSync, readSync } from 'node:fs'
import { endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import { LabError } from './lab-error.ts'
import type { MemoryView } from './memory-view.ts'

const FRAME_BYTES = 4096
const PADDING = 0xffff_ffff_ffff_ffffn

/** The guest of a core file of `xl dump-core`, read the plain way: every table whole, every frame in a map. */
export interface XenCoreView extends MemoryView {
  /** Sections by name: offset and size in bytes. */
  readonly sections: ReadonlyMap<string, { readonly offset: number; readonly size: number }>
}

/**
 * Opens the core file of a fixture. `extents` holds the frames that `frames` counts from 0, and those of the core beyond.
 * It shares no code with what is tested. Throws LabError when the file is not what was kept.
 */
export function openXenCoreView(core: string, frames: number): XenCoreView {
  const fd = openSync(core, 'r')
  const bytes = (offset: number, size: number): Buffer => {
    const buffer = Buffer.alloc(size)
    if (readSync(fd, buffer, 0, size, offset) !== size) throw new LabError(`${core} ends before ${offset + size}`)
    return buffer
  }
  const sections = readSections(bytes)
  const table = sections.get('.xen_pfn') ?? sections.get('.xen_p2m')
  const pages = sections.get('.xen_pages')
  if (!table || !pages) throw new LabError(`${core} has no pages or no table of frames`)
  const stride = sections.has('.xen_p2m') ? 16 : 8
  const entries = bytes(table.offset, table.size)
  const offsets = new Map<number, number>()
  const pfns = new Map<number, number>()
  for (let i = 0; i * stride < table.size; i++) {
    const pfn = entries.readBigUInt64LE(i * stride)
    if (pfn === PADDING) continue
    offsets.set(Number(pfn), pages.offset + i * FRAME_BYTES)
    pfns.set(Number(entries.readBigUInt64LE(i * stride + stride - 8)), Number(pfn))
  }
  const backed = PfnSet.of([...offsets.keys()].map((start) => ({ start, count: 1 })))
  const isReadable = (range: PfnRange): boolean => backed.next(range.start, false, endOf(range)) === endOf(range)
  const view: XenCoreView = {
    frameBytes: FRAME_BYTES,
    machine: 'x86_64',
    sections,
    extents: mergeRanges([{ start: 0, count: frames }, ...backed.allRuns()]),
    backed,
    isReadable,
    tryRead: (range, into) => {
      if (!isReadable(range)) return false
      view.read(range, into)
      return true
    },
    toPfn: (gfn) => pfns.get(gfn),
    read: (range, into) => {
      for (let i = 0; i < range.count; i++) {
        const offset = offsets.get(range.start + i)
        if (offset === undefined) throw new RangeError(`frame ${range.start + i} is not in ${core}`)
        into.set(bytes(offset, FRAME_BYTES), i * FRAME_BYTES)
      }
    },
    [Symbol.dispose]: () => closeSync(fd),
  }
  return view
}

/** ELF-64, figures 2 and 8: section headers of 64 bytes, their count at 60, the index of the names at 62. */
function readSections(bytes: (offset: number, size: number) => Buffer): Map<string, { offset: number; size: number }> {
  const header = bytes(0, 64)
  const count = header.readUInt16LE(60)
  const table = bytes(Number(header.readBigUInt64LE(40)), count * 64)
  const place = (i: number) => ({
    offset: Number(table.readBigUInt64LE(i * 64 + 24)),
    size: Number(table.readBigUInt64LE(i * 64 + 32)),
  })
  const strings = place(header.readUInt16LE(62))
  const names = bytes(strings.offset, strings.size)
  const sections = new Map<string, { offset: number; size: number }>()
  for (let i = 1; i < count; i++) {
    const at = table.readUInt32LE(i * 64)
    sections.set(names.toString('latin1', at, names.indexOf(0, at)), place(i))
  }
  return sections
}
