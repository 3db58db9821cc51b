import type { GuestMemory, OpenGuest } from '@ullage/offline-query'
import type { PfnRange } from '@ullage/pages'
import { type AskOptions, askWitnesses } from './ask-witnesses.ts'
import type { GuestWord } from './guest-word.ts'
import { freePagesWarnings } from './free-pages.ts'
import type { PagesLayout } from './pages-of.ts'
import { type DumpPlan, type PlanRun, planDump } from './plan-dump.ts'
import { disagreementWarnings, findDisagreements, type Warning } from './report.ts'
import { tryRead } from './try-read.ts'
import type { Policy } from './verdict.ts'

export interface ExamineOptions extends AskOptions {
  readonly level: number
  /** Told once both witnesses have answered, before any run. */
  readonly onLayout?: (layout: PagesLayout) => void
  readonly onRun?: (run: PlanRun) => void
}

/** What both witnesses say of one guest, and what follows from it. */
export interface Examination {
  readonly plan: DumpPlan
  /** Guest RAM in the frames that `plan` counts: pages of the guest's, where their size is known. */
  readonly memory: GuestMemory
  readonly policy: Policy
  readonly word: GuestWord
  readonly disagreements: ReturnType<typeof findDisagreements>
  readonly warnings: readonly Warning[]
}

/** Asks both witnesses about every frame and decides. Reads guest metadata, no page content. */
export async function examineGuest(guest: OpenGuest, options: ExamineOptions): Promise<Examination> {
  const { backing } = guest
  const { word, host, memory, classify } = await askWitnesses(guest, options)
  const policy: Policy = {
    level: options.level,
    trust: word.trust,
    unbackedReads: backing.capabilities.unbackedReads,
    offlineTold: word.linux?.offlineTold ?? true,
  }
  const { frameBytes, extents } = memory
  options.onLayout?.({ frameBytes, extents, sectionFrames: word.linux?.sectionFrames })
  const probe = new Uint8Array(memory.frameBytes)
  const plan = planDump(
    {
      extents: memory.extents,
      classify: (window, into) => {
        options.signal?.throwIfAborted()
        classify(window, into)
      },
      host,
      protectedFrames: word.linux?.protectedFrames() ?? [],
      notDumped: framesOf(memory),
      countIdle: (range) => word.linux?.countIdle(range) ?? 0,
      canRead: (pfn) => tryRead(memory, { start: pfn, count: 1 }, probe),
    },
    policy,
    options.onRun,
  )
  const disagreements = findDisagreements(plan, memory.frameBytes, {
    notAsked: host.notAsked,
    wordLost: word.isLost,
  })
  return {
    plan,
    memory,
    policy,
    word,
    disagreements,
    warnings: [
      ...guest.warnings,
      ...word.warnings,
      ...(word.linux ? freePagesWarnings(plan) : []),
      ...disagreementWarnings(disagreements),
    ],
  }
}

/** What is listed as not dumped, in frames: those that lie in it whole. */
function framesOf({ notDumped, frameBytes }: GuestMemory): PfnRange[] {
  return notDumped.flatMap(({ startBytes, sizeBytes }) => {
    const start = Math.ceil(startBytes / frameBytes)
    const count = Math.floor((startBytes + sizeBytes) / frameBytes) - start
    return count > 0 ? [{ start, count }] : []
  })
}
