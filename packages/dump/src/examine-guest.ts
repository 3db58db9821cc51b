import { OfflineError, type OpenGuest } from '@ullage/offline-query'
import { type GuestWord, readGuestWord } from './guest-word.ts'
import { HostStates } from './host-states.ts'
import { type DumpPlan, type PlanRun, planDump } from './plan-dump.ts'
import { disagreementWarnings, findDisagreements, type Warning } from './report.ts'
import type { Policy, Trust } from './verdict.ts'

export interface ExamineOptions {
  readonly level: number
  readonly trust: Trust
  /** ELF notes to look for VMCOREINFO in; without one in them guest memory is searched. */
  readonly elfNotes: Uint8Array
  /** True when the notes are a live guest's: without vCPUs that run its kernel the guest has no word. */
  readonly expectVcpus: boolean
  readonly signal?: AbortSignal
  readonly onRun?: (run: PlanRun) => void
}

/** What both witnesses say of one guest, and what follows from it. */
export interface Examination {
  readonly plan: DumpPlan
  readonly policy: Policy
  readonly word: GuestWord
  readonly disagreements: ReturnType<typeof findDisagreements>
  readonly warnings: readonly Warning[]
}

/** Asks both witnesses about every frame and decides. Reads guest metadata, no page content. */
export async function examineGuest(guest: OpenGuest, options: ExamineOptions): Promise<Examination> {
  const { memory, backing } = guest
  const signal = options.signal ? { signal: options.signal } : {}
  const host = await HostStates.collect(backing, memory.extents, signal)
  const word = await readGuestWord(guest, host, {
    elfNotes: options.elfNotes,
    expectVcpus: options.expectVcpus,
    trust: options.trust,
    ...signal,
  })
  const policy: Policy = {
    level: options.level,
    trust: word.trust,
    unbackedReads: backing.capabilities.unbackedReads,
    offlineTold: word.linux?.offlineTold ?? true,
  }
  const probe = new Uint8Array(memory.frameBytes)
  const plan = planDump(
    {
      extents: memory.extents,
      classify: (window, into) => {
        options.signal?.throwIfAborted()
        word.classify(window, into)
      },
      hostStates: (window, into) => host.fill(window, into),
      protectedFrames: word.linux?.protectedFrames() ?? [],
      countIdle: (range) => word.linux?.countIdle(range) ?? 0,
      canRead: (pfn) => canRead(guest, pfn, probe),
    },
    policy,
    options.onRun,
  )
  const disagreements = findDisagreements(plan, memory.frameBytes)
  return {
    plan,
    policy,
    word,
    disagreements,
    warnings: [...guest.warnings, ...word.warnings, ...disagreementWarnings(disagreements)],
  }
}

function canRead(guest: OpenGuest, pfn: number, into: Uint8Array): boolean {
  try {
    guest.memory.read({ start: pfn, count: 1 }, into)
    return true
  } catch (error) {
    if (error instanceof OfflineError && error.code === 'UNREADABLE') return false
    throw error
  }
}
