import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { answerBacking, type BackingRun, fileGuest, type OpenGuest } from '@ullage/offline-query'
import { cutRange, endOf, type PfnRange } from '@ullage/pages'
import { LabError } from '../lab-error.ts'
import { busySection } from './busy-section.ts'
import { BusyStructPages } from './busy-struct-pages.ts'
import { syntheticEras } from './kernel-era.ts'
import { makeSyntheticGuest } from './make-synthetic-guest.ts'

const FRAME_BYTES = 4096
const SECTION_FRAMES = 32_768
const FRAMES_PER_GIB = 2 ** 18
/** Struct pages of the first 64 GiB are their own; those of all sections after them are the same ones over and over. */
export const DISTINCT_SECTIONS = 512

/** A guest's RAM in a sparse file, and what is needed to open it: plain values, so that another process can. */
export interface LargeGuest {
  readonly path: string
  /** Frames of guest RAM, from frame 0 on. */
  readonly frames: number
  /** VMCOREINFO and one vCPU, base64. */
  readonly elfNotes: string
  /** Where the struct pages of each section are: first frame of 512. */
  readonly structPages: readonly number[]
  /** What the kernel has placed for itself: in use, with memory. */
  readonly own: PfnRange
}

/**
 * - `busy`: as `busySection` says: ballooned memory, and half of the large free blocks
 * - `alternate`: every second frame, the most runs that there can be
 */
export type LargeGuestHoles = 'busy' | 'alternate'

/**
 * Makes a guest of `gib` GiB in a sparse file, which takes 16 MiB a GiB up to 64 GiB and no more above. Its kernel is of
 * 6.12, its memory busy; of the content only what the kernel says of it is there.
 */
export function makeLargeGuest(options: { path: string; gib: number }): LargeGuest {
  const frames = options.gib * FRAMES_PER_GIB
  const sections = frames / SECTION_FRAMES
  if (!Number.isInteger(sections)) throw new LabError(`${options.gib} GiB are not whole sections of 128 MiB`)
  const era = syntheticEras['6.12']
  const extents = [{ start: 0, count: frames }]
  const { guest, kernel } = makeSyntheticGuest({ era, extents, aliasSections: DISTINCT_SECTIONS })
  const end = kernel.protectedFrames.reduce((last, range) => Math.max(last, endOf(range)), 0)
  const own = { start: kernel.image.start, count: end - kernel.image.start }
  const distinct = Math.min(sections, DISTINCT_SECTIONS)
  const fd = openSync(options.path, 'w')
  try {
    ftruncateSync(fd, frames * FRAME_BYTES)
    const pages = new BusyStructPages(era, SECTION_FRAMES)
    for (let section = 0; section < distinct; section++) {
      const first = section * SECTION_FRAMES
      const address = kernel.memMap.addressOf(first)
      pages.write(busySection(section, SECTION_FRAMES), address, section)
      const start = Math.max(own.start, first)
      const count = Math.min(end, first + SECTION_FRAMES) - start
      if (count > 0) {
        pages.write([{ start: start - first, count, page: { use: 'reserved' }, isHole: false }], address, section)
      }
      writeSync(fd, pages.bytes, 0, pages.bytes.length, kernel.memMap.physicalOf(first))
    }
    for (const pfn of guest.memory.written) writeSync(fd, guest.memory.frame(pfn), 0, FRAME_BYTES, pfn * FRAME_BYTES)
  } finally {
    closeSync(fd)
  }
  return {
    path: options.path,
    frames,
    elfNotes: Buffer.concat([kernel.vcpuNote, kernel.note]).toString('base64'),
    structPages: Array.from(
      { length: sections },
      (_, section) => kernel.memMap.physicalOf((section % distinct) * SECTION_FRAMES) / FRAME_BYTES,
    ),
    own,
  }
}

/** The guest as a backend would open it: reads are preads of the file. Disposing it closes the file. */
export function openLargeGuest(guest: LargeGuest, holes: LargeGuestHoles): OpenGuest {
  const fd = openSync(guest.path, 'r')
  const extents = [{ start: 0, count: guest.frames, name: 'ram' }]
  const backed = guest.frames * FRAME_BYTES
  const isOwn = (pfn: number): boolean => pfn >= guest.own.start && pfn < endOf(guest.own)
  const borders = Array.from({ length: Math.min(guest.structPages.length, DISTINCT_SECTIONS) }, (_, section) =>
    bordersOf(guest, section),
  )
  const statesOf = (within: PfnRange): Iterable<BackingRun> =>
    holes === 'alternate' ? alternate(within, isOwn) : busy(within, borders)
  let isOpen = true
  return fileGuest({
    backend: 'synthetic',
    machine: 'x86_64',
    memory: {
      frameBytes: FRAME_BYTES,
      extents,
      notDumped: [],
      read: (range, into) => {
        if (range.start < 0 || endOf(range) > guest.frames || into.length !== range.count * FRAME_BYTES) {
          throw new RangeError(`frames [${range.start}, ${endOf(range)}) are not ${into.length} bytes of guest RAM`)
        }
        for (let done = 0; done < into.length; ) {
          const count = readSync(fd, into, done, into.length - done, range.start * FRAME_BYTES + done)
          if (count === 0) throw new LabError(`${guest.path} ended within frames [${range.start}, ${endOf(range)})`)
          done += count
        }
      },
      capabilities: { granularity: 1, snapshot: true, tellsSwapped: false, unbackedReads: 'zeros' },
      backing: (question) => answerBacking(question, statesOf),
      hostMemory: () => ({ backedBytes: backed, residentBytes: backed }),
      close: () => {
        if (isOpen) closeSync(fd)
        isOpen = false
      },
    },
    notes: { elfNotes: Buffer.from(guest.elfNotes, 'base64'), cpus: 1 },
    warnings: [],
  })
}

/** Where the state of a section changes, backed first: [0, 96) backed, [96, 608) not, … for 96, 608, …. */
function bordersOf({ own }: LargeGuest, section: number): Int32Array {
  const borders: number[] = []
  const first = section * SECTION_FRAMES
  for (const { start, count, isHole } of busySection(section, SECTION_FRAMES)) {
    if (!isHole) continue
    for (const piece of cutRange({ start: first + start, count }, [own])) {
      if (piece.inside) continue
      if (borders.at(-1) === piece.start - first) borders.pop()
      else borders.push(piece.start - first)
      borders.push(endOf(piece) - first)
    }
  }
  return Int32Array.from(borders)
}

function* busy(within: PfnRange, borders: readonly Int32Array[]): Generator<BackingRun> {
  const end = endOf(within)
  for (let at = within.start; at < end; ) {
    const section = Math.floor(at / SECTION_FRAMES)
    const first = section * SECTION_FRAMES
    const limit = Math.min(end, first + SECTION_FRAMES)
    let isHole = false
    for (const border of borders[section % DISTINCT_SECTIONS] ?? []) {
      const to = Math.min(first + border, limit)
      if (to > at) {
        yield { start: at, count: to - at, state: isHole ? 'unbacked' : 'backed' }
        at = to
      }
      isHole = !isHole
    }
    if (at < limit) yield { start: at, count: limit - at, state: 'backed' }
    at = limit
  }
}

function* alternate(within: PfnRange, isOwn: (pfn: number) => boolean): Generator<BackingRun> {
  for (let pfn = within.start; pfn < endOf(within); pfn++) {
    yield { start: pfn, count: 1, state: pfn % 2 === 1 && !isOwn(pfn) ? 'unbacked' : 'backed' }
  }
}
