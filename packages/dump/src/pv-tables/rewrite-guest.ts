import type { OpenGuest } from '@ullage/offline-query'
import { endOf, findRange, type PfnRange, PfnSet } from '@ullage/pages'
import { DumpError } from '../dump-error.ts'
import type { DumpSource } from '../dump-source.ts'
import type { DumpPlan } from '../plan-dump.ts'
import type { PvTablesReport, Warning } from '../report.ts'
import { tryRead } from '../try-read.ts'
import { loadedRoots, withOwnRoots } from './control-registers.ts'
import { CrashP2m } from './crash-p2m.ts'
import { findPvTables, type PvMemory } from './find-pv-tables.ts'
import { RewrittenMemory } from './rewritten-memory.ts'

export type RewriteMode = PvTablesReport['mode']

/** What a dump is made from when page tables are rewritten: the plan has the frames of crash's list besides. */
export interface RewrittenGuest extends DumpSource {
  /** What was rewritten, once all that the plan writes has been read. */
  report(): PvTablesReport
  /** Likewise. */
  warnings(): Warning[]
}

/**
 * Throws DumpError `INVALID_OPTION` for a guest whose page tables hold its own frame numbers anyway, and for one that is
 * too large for crash.
 */
export function refuseUnlessPv({ addressSpace, identity, memory }: OpenGuest, mode: RewriteMode): void {
  if (addressSpace.paravirtualised !== true) {
    throw new DumpError(
      'INVALID_OPTION',
      `pvTables: expected a Xen PV guest for ${mode}, whose page tables hold machine frames; those of this ${identity.backend} guest hold its own frames and every reader takes them as they are: leave the option out`,
    )
  }
  const endPfn = Math.max(0, ...memory.extents.map(endOf))
  if (mode === 'crash' && endPfn > CrashP2m.maxFrames) {
    throw new DumpError(
      'INVALID_OPTION',
      `pvTables: expected a guest of at most ${CrashP2m.maxFrames} frames for crash, which can list no more of a Xen guest's; this one has frames up to ${endPfn - 1}: use rewrite, and another reader`,
    )
  }
}

/**
 * Finds the page tables of a PV guest, among the frames that `kept` writes, and prepares memory, plan and notes in which
 * they hold the guest's own frame numbers. `rootPfn` is the kernel's root table, where it is known.
 */
export function rewriteGuest(
  guest: OpenGuest,
  kept: DumpSource,
  options: { mode: RewriteMode; rootPfn: number | undefined; signal?: AbortSignal },
): RewrittenGuest {
  const { plan, elfNotes } = kept
  const { extents } = guest.memory
  const toPfn = (gfn: number) => inRam(guest.addressSpace.toPfn(gfn), extents)
  const roots = [...loadedRoots(elfNotes)].map(({ gfn }) => toPfn(gfn)).filter((pfn) => pfn !== undefined)
  if (options.rootPfn !== undefined) roots.push(options.rootPfn)
  const search: PvMemory = {
    toPfn: (gfn) => {
      const pfn = toPfn(gfn)
      return pfn !== undefined && plan.write.has(pfn) ? pfn : undefined
    },
    readFrames: (range, into) => isWritten(plan, range) && tryRead(guest.memory, range, into),
  }
  const found = findPvTables(search, roots, options)
  const p2m = options.mode === 'crash' ? new CrashP2m(extents, plan.present) : undefined
  const memory = new RewrittenMemory(guest.memory, { tables: found.tables, p2m, toPfn })
  const own = withOwnRoots(elfNotes, toPfn)
  const report = (): PvTablesReport => ({
    mode: options.mode,
    roots: found.roots,
    tables: memory.tables,
    entriesRewritten: memory.counts.rewritten,
    entriesLeft: memory.counts.left,
    entriesMisleading: memory.counts.misleading,
    registersRewritten: own.rewritten,
    registersLeft: own.left,
    writableTablesLeft: found.doubted,
    ...(p2m ? { addedFrames: p2m.range } : {}),
  })
  return {
    memory,
    plan: p2m ? withFrames(plan, p2m) : plan,
    elfNotes: p2m ? Buffer.concat([own.notes, p2m.note()]) : own.notes,
    report,
    warnings: () => warningsOf(report()),
  }
}

/** A save image's tables can name any frame: whatever is not guest RAM is not the guest's. */
function inRam(pfn: number | undefined, extents: readonly PfnRange[]): number | undefined {
  return pfn !== undefined && findRange(extents, pfn) !== -1 ? pfn : undefined
}

function isWritten({ write }: DumpPlan, range: PfnRange): boolean {
  return write.next(range.start, false, endOf(range)) === endOf(range)
}

/** The plan with frames that are no guest RAM: they are stored, and count nowhere. */
function withFrames(plan: DumpPlan, { range }: CrashP2m): DumpPlan {
  const [present, write] = [plan.present, plan.write].map((set) => {
    const copy = PfnSet.of(set.allRuns())
    copy.add(range)
    return copy
  }) as [PfnSet, PfnSet]
  return { ...plan, present, write, maxPfn: endOf(range) }
}

function warningsOf(report: PvTablesReport): Warning[] {
  const warnings: Warning[] = []
  if (report.roots === 0) {
    const text =
      'no root page table was found: neither did a vCPU tell one nor is the kernel known; nothing was rewritten'
    warnings.push({ code: 'PV_TABLES_NOT_FOUND', text })
  }
  if (report.entriesMisleading > 0) {
    const text = `${report.entriesMisleading} page table entries name machine frames that are not the guest's, by numbers that readers will take for frames of the guest's`
    warnings.push({ code: 'PV_ENTRIES_MISLEADING', text })
  }
  return warnings
}
