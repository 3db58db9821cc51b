import { endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import { ClassRuns } from './class-runs.ts'
import { GUEST_CLASS } from './guest-class.ts'
import type { GuestFrames } from './guest-frames.ts'
import { imageMarks } from './image-marks.ts'
import { isImage } from './image-runs.ts'
import type { Kernel } from './kernel.ts'
import { ABSENT } from './paging.ts'

/** Tables of the kernel half that are followed: the direct map of N frames needs N / 512, twice that is ample. */
const tablesLimit = (guestFrames: number): number => 65_536 + Math.ceil(guestFrames / 256)

/** Runs of protected frames in one piece of guest RAM; a kernel has some thousand. */
const MAX_RUNS = 2 ** 16
/** Each try joins runs so many times as far apart. */
const GAP_STEP = 16

const FREED: readonly number[] = [GUEST_CLASS.free, GUEST_CLASS.offline, GUEST_CLASS.unaccepted, GUEST_CLASS.hwpoison]

/** What a freed frame of the image can have become that a dump may leave out. */
const REUSED: readonly number[] = [GUEST_CLASS.user, GUEST_CLASS.cache, GUEST_CLASS.cachePrivate]

export interface ProtectedFrames {
  /** Ascending, disjoint, in guest RAM. */
  readonly ranges: readonly PfnRange[]
  /** False when there were more page tables than a kernel has for this much memory. */
  readonly complete: boolean
}

/**
 * Frames that no level may leave out: the kernel image as the root table maps it without what the kernel has freed of
 * it, page tables reachable from the root, `mem_section`, the frames that hold struct pages, the VMCOREINFO page.
 */
export function findProtectedFrames(kernel: Kernel, vmcoreinfoPfn: number | undefined): ProtectedFrames {
  const { frames } = kernel.memory
  const tables = pageTables(kernel)
  const guarded = tables.set
  for (const range of withoutFreed(imageFrames(kernel), kernel)) guarded.add(range)
  for (const range of kernel.sections.pfns()) guarded.add(range)
  addMemMap(kernel, guarded)
  if (vmcoreinfoPfn !== undefined) guarded.add({ start: vmcoreinfoPfn, count: 1 })
  return { ranges: runsInRam(guarded, frames.view.extents), complete: tables.complete }
}

/**
 * The runs of a set inside guest RAM. Where a guest has scattered them over all of its memory, what lies between neighbours
 * is taken with them, so that there are MAX_RUNS at most in each piece of RAM: more is then kept than need be.
 */
export function runsInRam(set: PfnSet, extents: readonly PfnRange[]): PfnRange[] {
  return mergeRanges(extents).flatMap((extent) => {
    for (let gap = 0; ; gap = gap * GAP_STEP + 1) {
      const runs = joinedRuns(set, extent, gap)
      if (runs) return runs
    }
  })
}

/** Runs of `set` in `within`, those joined that are `gap` frames apart at most; undefined when there are more than MAX_RUNS. */
function joinedRuns(set: PfnSet, within: PfnRange, gap: number): PfnRange[] | undefined {
  const joined: { start: number; count: number }[] = []
  for (const run of set.runs(within)) {
    const last = joined.at(-1)
    if (last && run.start - endOf(last) <= gap) last.count = endOf(run) - last.start
    else if (joined.length === MAX_RUNS) return undefined
    else joined.push({ ...run })
  }
  return joined
}

function imageFrames(kernel: Kernel): PfnRange[] {
  const { start, end } = kernel.architecture.image
  const pages = Number((end - start) >> BigInt(kernel.memory.frames.frameShift))
  const mapped = new PfnSet()
  for (const run of kernel.memory.mapping(start, pages)) {
    if (run.pfn !== undefined && isImage(kernel, run)) mapped.add({ start: run.pfn, count: run.pages })
  }
  return insideRam(withoutSpareEnd([...mapped.allRuns()], kernel), kernel.memory.frames)
}

/** Without the frames at its end that have no memory, as many as the architecture leaves untouched. */
function withoutSpareEnd(image: readonly PfnRange[], { architecture, memory }: Kernel): PfnRange[] {
  const last = image.at(-1)
  if (!last) return []
  const scratch = new Uint8Array(memory.frames.frameBytes)
  const most = Math.min(architecture.spareEndFrames, last.count - 1)
  let spare = 0
  while (spare < most && !memory.frames.readFrame(endOf(last) - 1 - spare, scratch)) spare++
  return [...image.slice(0, -1), { start: last.start, count: last.count - spare }]
}

/**
 * The kernel gives parts of its image back once it has booted, leaves some of them mapped, and uses them again. A frame
 * that only looks like page cache is no proof: those of data and BSS have been seen with PG_lru and a mapping
 * (makedumpfile issue 21). It stays unless the kernel's own mark says that it was given back.
 */
function withoutFreed(image: readonly PfnRange[], kernel: Kernel): PfnRange[] {
  const kept = PfnSet.of(image)
  const marks = imageMarks(kernel)
  const runs = new ClassRuns()
  for (const range of image) {
    kernel.structPages.classify(range, runs)
    for (const { start, count, code } of runs.of(range)) {
      if (FREED.includes(code)) kept.delete({ start, count })
      if (marks === undefined || !REUSED.includes(code)) continue
      for (let pfn = start; pfn < start + count; pfn++) if (!marks.isKept(pfn)) kept.delete({ start: pfn, count: 1 })
    }
  }
  return [...kept.allRuns()]
}

/** Frames of the tables that the kernel's half of the root table leads to; those of the last level are not read. */
function pageTables(kernel: Kernel): { set: PfnSet; complete: boolean } {
  const { architecture, memory } = kernel
  const { frames } = memory
  const { paging, rootPfn, kernelEntries } = architecture
  const limit = tablesLimit(frames.count)
  const set = PfnSet.of([{ start: rootPfn, count: 1 }])
  const buffers = paging.levels.map(() => new Uint8Array(frames.frameBytes))
  let complete = true
  const follow = (pfn: number, level: number, start: number, end: number): void => {
    const bytes = buffers[level] as Uint8Array
    if (!frames.readFrame(pfn, bytes)) return
    const view = new DataView(bytes.buffer)
    for (let entry = start; entry < end; entry++) {
      const code = paging.decode(view.getUint32(entry * 8, true), view.getUint32(entry * 8 + 4, true), level)
      if (code === ABSENT || code % 2 === 1) continue
      const next = frames.view.toPfn(code / 2)
      if (next === undefined || !frames.isRam(next) || set.has(next)) continue
      if (set.size >= limit) {
        complete = false
        return
      }
      set.add({ start: next, count: 1 })
      if (level + 2 < paging.levels.length) follow(next, level + 1, 0, 2 ** levelBits(paging, level + 1))
    }
  }
  follow(rootPfn, 0, kernelEntries.start, kernelEntries.end)
  return { set, complete }
}

function levelBits(paging: Kernel['architecture']['paging'], level: number): number {
  return paging.levels[level]?.indexBits ?? 0
}

function addMemMap(kernel: Kernel, guarded: PfnSet): void {
  const { sections, memory } = kernel
  const { frameBytes } = memory.frames
  for (const number of sections.ofGuestRam()) {
    const section = sections.at(number)
    if (section.kind !== 'online') continue
    const skew = Number(section.map & BigInt(frameBytes - 1))
    const pages = Math.ceil((skew + sections.sectionFrames * sections.structPageBytes) / frameBytes)
    for (const { pfn, pages: count } of memory.mapping(section.map - BigInt(skew), pages)) {
      if (pfn !== undefined) guarded.add({ start: pfn, count })
    }
  }
}

function insideRam(ranges: readonly PfnRange[], frames: GuestFrames): PfnRange[] {
  const inside: PfnRange[] = []
  for (const range of mergeRanges(ranges)) {
    for (const extent of frames.view.extents) {
      const start = Math.max(range.start, extent.start)
      const end = Math.min(endOf(range), endOf(extent))
      if (end > start) inside.push({ start, count: end - start })
    }
  }
  return mergeRanges(inside)
}
