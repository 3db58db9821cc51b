import type { OpenGuest, RamExtent } from '@ullage/offline-query'
import { examineGuest } from './examine-guest.ts'
import { hypervisorReport } from './guest-figures.ts'
import type { PlanRun } from './plan-dump.ts'
import {
  countFrames,
  type Disagreements,
  type FrameCounts,
  type GuestSummary,
  type HypervisorReport,
  summarizeGuest,
  type Warning,
} from './report.ts'
import type { Trust } from './verdict.ts'

/** The level whose verdicts `pagesOf` tells. */
const LEVEL = 31

/** How guest RAM is laid out, in frames of `frameBytes` bytes. */
export interface PagesLayout {
  readonly frameBytes: number
  readonly extents: readonly RamExtent[]
  /** Frames in one memory section of the guest's kernel; undefined where its word cannot be had. */
  readonly sectionFrames: number | undefined
}

export interface PagesOptions {
  /** Stops the guest while it is asked, so that both witnesses speak of one instant. */
  readonly pause: boolean
  readonly trust?: Trust
  readonly signal?: AbortSignal
  /** Told once, before the first run. */
  readonly onLayout?: (layout: PagesLayout) => void
  /** Told every maximal run of frames, ascending and gapless over guest RAM. */
  readonly onRun?: (run: PlanRun) => void
}

/** What `pagesOf` returns: counts in frames. */
export interface PagesReport {
  readonly guest: GuestSummary
  readonly frames: FrameCounts
  readonly disagreements: Disagreements
  /** Where a hypervisor can be asked. */
  readonly hypervisor?: HypervisorReport
  readonly trust: Trust
  readonly consistency: { readonly mode: 'paused' | 'live' | 'stopped' | 'file'; readonly pausedMs: number }
  readonly warnings: readonly Warning[]
}

/**
 * The class × state matrix of one guest, and the fate of each frame at level 31. Reads no page content. Without `pause` a
 * running guest is not stopped for an instant, which the hypervisor's own notes would need: VMCOREINFO is then searched
 * for in memory.
 */
export async function pagesOf(guest: OpenGuest, options: PagesOptions): Promise<PagesReport> {
  const signal = options.signal ? { signal: options.signal } : {}
  await using lease = options.pause || guest.identity.kind === 'file' ? await guest.pause(signal) : undefined
  const before = await guest.hypervisor?.(signal)
  // What asks a hypervisor, not QEMU, has the vCPUs' state without stopping the guest.
  const hasNotes = lease !== undefined || guest.backing.capabilities.costly === true
  const elfNotes = hasNotes ? (await guest.notes(signal)).elfNotes : new Uint8Array()
  const { plan, memory, word, disagreements, warnings } = await examineGuest(guest, {
    level: LEVEL,
    trust: options.trust ?? 'guest',
    elfNotes,
    expectVcpus: lease !== undefined && guest.identity.kind === 'live',
    ...signal,
    ...(options.onRun ? { onRun: options.onRun } : {}),
    ...(options.onLayout ? { onLayout: options.onLayout } : {}),
  })
  const after = await guest.hypervisor?.(signal)
  const pausedMs = lease ? await lease.resume() : 0
  return {
    guest: summarizeGuest(guest, word.linux, memory),
    frames: countFrames(plan),
    disagreements,
    ...hypervisorReport(before, after),
    trust: word.trust,
    consistency: { mode: lease?.mode ?? 'live', pausedMs: Math.round(pausedMs) },
    warnings,
  }
}
