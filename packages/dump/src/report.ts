import type { LinuxGuest } from '@ullage/linux-guest'
import type { GuestMemory, OpenGuest, PopulateOnDemand } from '@ullage/offline-query'
import type { Compression } from '@ullage/vmcore'
import { fates, type GuestClass, guestClasses, type HostState, hostStates } from './frame-codes.ts'
import { GUEST_CLASS, HOST_STATE } from './frame-codes.ts'
import type { DumpPlan } from './plan-dump.ts'
import { NOTE, type Trust } from './verdict.ts'

/** Something a person should know: a code to look up, and one sentence. */
export interface Warning {
  readonly code: string
  readonly text: string
}

export type ClassMatrix = Record<GuestClass, Record<HostState, number>>

/** What both witnesses said, in frames. The matrix adds up to `total`, and so do the fates. */
export interface FrameCounts {
  readonly total: number
  readonly byClass: ClassMatrix
  readonly byFate: { readonly write: number; readonly zero: number; readonly leaveOut: number }
}

export interface Disagreements {
  /** Memory the guest calls offline and the host still pays for, in bytes. */
  readonly reclaimableBytes: number
  /** Kept frames that the host does not back and that read as zeros. */
  readonly untouched: number
  /** Frames in use that the host does not back. */
  readonly inUseUnbacked: number
  /** Those of them that nobody holds: free memory on a list of the kernel's, or set aside at boot; never touched. */
  readonly idleUnbacked: number
  /** Frames left out because they are in use, unbacked, and the kernel cannot say offline. */
  readonly offlineUntold: number
  /** Kept frames that are left out because they have no memory and would read as nothing; not those listed as not dumped. */
  readonly missing: number
  /** Frames the kernel relies on that the host does not back. */
  readonly protectedUnbacked: number
  /** Frames whose state a costly host was not asked for, because the guest's word leaves them out at every level. */
  readonly notAsked: number
  /** True when the guest's own word cannot be had because the host backs no memory behind page tables it is found by. */
  readonly wordLost: boolean
  /** True when memory the guest relies on may be gone. */
  readonly alarm: boolean
}

/** What is known of the guest itself. */
export interface GuestSummary {
  readonly backend: string
  /** OSRELEASE; null where the guest's word cannot be had. */
  readonly kernel: string | null
  readonly vmcoreinfo: 'note' | 'scan' | 'none'
  /** Bytes. */
  readonly pageSize: number
  readonly machine: string
}

export function summarizeGuest(
  guest: OpenGuest,
  linux: LinuxGuest | undefined,
  { frameBytes }: Pick<GuestMemory, 'frameBytes'> = { frameBytes: linux?.pageBytes ?? guest.memory.frameBytes },
): GuestSummary {
  return {
    backend: guest.identity.backend,
    kernel: linux?.kernel ?? null,
    vmcoreinfo: linux?.vmcoreinfoFrom ?? 'none',
    pageSize: frameBytes,
    machine: guest.identity.machine,
  }
}

/** What was rewritten of the page tables of a PV guest. */
export interface PvTablesReport {
  readonly mode: 'rewrite' | 'crash'
  /** Root tables found: the kernel's, and two for each process. */
  readonly roots: number
  /** Page tables in the artifact, in frames. */
  readonly tables: number
  /** Entries in them that name the guest's own frame now. */
  readonly entriesRewritten: number
  /** Entries that name a frame that is not the guest's, and stand as they were. */
  readonly entriesLeft: number
  /** Those of them whose number is also one of the guest's frames, for which a reader takes it. */
  readonly entriesMisleading: number
  /** Registers in the notes that name a root table, likewise. */
  readonly registersRewritten: number
  readonly registersLeft: number
  /** Frames that a table leads to as to a table, but that the kernel can write to: they stand as they were. */
  readonly writableTablesLeft: number
  /** Frames of the artifact that are no guest RAM, for crash. */
  readonly addedFrames?: { readonly start: number; readonly count: number }
}

/** What the hypervisor itself counted, before the guest was looked at and after the last page had been read. */
export interface HypervisorReport {
  /** Hypercalls made for this guest, from opening it on. */
  readonly questions: number
  /** Frames that the hypervisor had given the guest (Xen tot_pages). */
  readonly totalFramesBefore?: number
  readonly totalFramesAfter?: number
  readonly populateOnDemandBefore?: PopulateOnDemand
  readonly populateOnDemandAfter?: PopulateOnDemand
}

/** What stands beside each artifact, as JSON. Sizes in bytes, counts in frames, times in milliseconds. */
export interface DumpReport {
  readonly schema: 'ullage.report/1'
  readonly guest: GuestSummary
  readonly frames: FrameCounts
  readonly disagreements: Disagreements
  readonly hostMemory: {
    readonly backedBytesBefore: number
    readonly backedBytesAfter: number
    readonly residentBytesBefore: number
    readonly residentBytesAfter: number
  }
  /** Where a hypervisor can be asked. */
  readonly hypervisor?: HypervisorReport
  readonly notDumped: readonly { readonly name: string; readonly startBytes: number; readonly sizeBytes: number }[]
  readonly trust: Trust
  readonly warnings: readonly Warning[]
  readonly consistency: {
    readonly mode: 'paused' | 'live' | 'stopped' | 'file'
    readonly pausedMs: number
    /** Pages that were copied into this process, so that the guest could go on before they were compressed; 0 for none. */
    readonly copiedBytes: number
  }
  readonly process: { readonly peakBytes: number; readonly codec: string }
  /** Where page tables were rewritten; undefined where they were kept, and for a dry run. */
  readonly pvTables?: PvTablesReport
  /** Undefined for a dry run. */
  readonly artifact?: {
    readonly file: string
    readonly bytes: number
    readonly sha256: string
    /** Whether every page was read back and decompressed. */
    readonly verified: boolean
    readonly format: 'kdump' | 'flattened' | 'elf'
    readonly compression: Compression
    /** The level that counted: with trust `both` or `host` only bit 1 of what was asked for. */
    readonly level: number
    readonly requestedLevel: number
    readonly pages: number
    readonly zeroPages: number
    /** Pages that were not stored because an equal one was; zeros not counted. */
    readonly sharedPages: number
  }
  /** What a dry run says the artifact can take at most, and takes at least. */
  readonly estimate?: { readonly atLeastBytes: number; readonly atMostBytes: number }
  readonly timingsMs: {
    readonly classify: number
    readonly write: number
    readonly verify: number
    readonly total: number
  }
}

/** `pausedMs`-free part of a report that a plan alone gives. `zeroPages`: written frames that turned out to be zeros. */
export function countFrames(plan: DumpPlan, zeroPages = 0): FrameCounts {
  const byClass = Object.fromEntries(
    guestClasses.map((name, guestClass) => [
      name,
      Object.fromEntries(
        hostStates.map((state, hostState) => [state, plan.counts[guestClass * hostStates.length + hostState] ?? 0]),
      ),
    ]),
  ) as ClassMatrix
  const [write = 0, zero = 0, leaveOut = 0] = fates.map((_, index) => plan.fates[index] ?? 0)
  const found = zeroPages === 0 ? 0 : zeroPages - zero
  return { total: plan.total, byClass, byFate: { write: write - found, zero: zero + found, leaveOut } }
}

/** More than this share of the frames in use without memory raises the alarm. */
const ALARM_SHARE = 0.01

export function findDisagreements(
  plan: DumpPlan,
  frameBytes: number,
  { notAsked = 0, wordLost = false }: Partial<Pick<Disagreements, 'notAsked' | 'wordLost'>> = {},
): Disagreements {
  const at = (guestClass: number, hostState: number) => plan.counts[guestClass * hostStates.length + hostState] ?? 0
  const reclaimable = at(GUEST_CLASS.offline, HOST_STATE.backed) + at(GUEST_CLASS.offline, HOST_STATE.swapped)
  const inUse = hostStates.reduce((sum, _, state) => sum + at(GUEST_CLASS.inUse, state), 0)
  const inUseUnbacked = at(GUEST_CLASS.inUse, HOST_STATE.unbacked)
  const offlineUntold = plan.notes[NOTE.offlineUntold] ?? 0
  const listed = plan.notes[NOTE.listed] ?? 0
  const suspicious = plan.offlineTold ? inUseUnbacked - plan.idleUnbacked - listed : 0
  return {
    reclaimableBytes: reclaimable * frameBytes,
    untouched: plan.notes[NOTE.untouched] ?? 0,
    inUseUnbacked,
    idleUnbacked: plan.idleUnbacked,
    offlineUntold,
    missing: plan.notes[NOTE.missing] ?? 0,
    protectedUnbacked: plan.protectedUnbacked,
    notAsked,
    wordLost,
    alarm: wordLost || plan.protectedUnbacked > 0 || suspicious > inUse * ALARM_SHARE,
  }
}

/** One sentence for each disagreement a person must see. */
export function disagreementWarnings(found: Disagreements): Warning[] {
  const warnings: Warning[] = []
  if (found.wordLost) {
    warnings.push({
      code: 'WORD_LOST',
      text: "the host backs no memory behind what the guest's own word is found by, page tables or what they lead to: memory it relies on may be gone, or the notes or the host's word are another guest's",
    })
  } else if (found.protectedUnbacked > 0) {
    warnings.push({
      code: 'PROTECTED_UNBACKED',
      text: `the host backs no memory behind ${found.protectedUnbacked} frames that the guest's kernel relies on (its image, page tables or struct pages)`,
    })
  } else if (found.alarm) {
    warnings.push({
      code: 'IN_USE_UNBACKED',
      text: `the host backs no memory behind ${found.inUseUnbacked - found.idleUnbacked} frames that the guest has in use: memory it relies on may be gone`,
    })
  }
  if (found.missing > 0) {
    warnings.push({
      code: 'MISSING',
      text: `${found.missing} frames that should be kept have no memory on this host and are left out`,
    })
  }
  return warnings
}
