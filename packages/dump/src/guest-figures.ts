import type { HostMemory, HypervisorFigures, OpenGuest } from '@ullage/offline-query'
import type { DumpReport, HypervisorReport, Warning } from './report.ts'

/** What host and hypervisor count of a guest, at one moment. */
export interface GuestFigures {
  readonly host: HostMemory
  /** Undefined where there is no hypervisor to ask. */
  readonly hypervisor: HypervisorFigures | undefined
}

export async function figuresOf(guest: OpenGuest, options: { signal?: AbortSignal } = {}): Promise<GuestFigures> {
  return { host: await guest.hostMemory(), hypervisor: await guest.hypervisor?.(options) }
}

/** Figures before and after, as reports have them. */
export function figuresReport(
  before: GuestFigures,
  after: GuestFigures,
): Pick<DumpReport, 'hostMemory' | 'hypervisor'> {
  return {
    hostMemory: {
      backedBytesBefore: before.host.backedBytes,
      backedBytesAfter: after.host.backedBytes,
      residentBytesBefore: before.host.residentBytes,
      residentBytesAfter: after.host.residentBytes,
    },
    ...hypervisorReport(before.hypervisor, after.hypervisor),
  }
}

/** A guest that stood still has the same memory as before, or the dump has changed it. */
export function changeWarnings(before: GuestFigures, after: GuestFigures): Warning[] {
  const [was, is] = [before.hypervisor, after.hypervisor]
  if (was?.totalFrames === is?.totalFrames && was?.populateOnDemand?.entries === is?.populateOnDemand?.entries) {
    return []
  }
  const outstanding = (entries = 0): string => `${entries} outstanding on demand`
  const found = (figures: HypervisorFigures | undefined): string =>
    `${figures?.totalFrames ?? 'unknown'} frames, ${outstanding(figures?.populateOnDemand?.entries)}`
  const text = `the guest did not run, and its memory changed: the hypervisor counted ${found(was)} before, ${found(is)} after`
  return [{ code: 'MEMORY_CHANGED', text }]
}

/** Nothing where there is no hypervisor. */
export function hypervisorReport(
  before: HypervisorFigures | undefined,
  after: HypervisorFigures | undefined,
): { hypervisor?: HypervisorReport } {
  if (!before || !after) return {}
  return {
    hypervisor: {
      questions: after.questions,
      ...(before.totalFrames !== undefined && { totalFramesBefore: before.totalFrames }),
      ...(after.totalFrames !== undefined && { totalFramesAfter: after.totalFrames }),
      ...(before.populateOnDemand && { populateOnDemandBefore: before.populateOnDemand }),
      ...(after.populateOnDemand && { populateOnDemandAfter: after.populateOnDemand }),
    },
  }
}
