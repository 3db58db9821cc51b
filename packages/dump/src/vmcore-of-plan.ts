import type { OpenGuest } from '@ullage/offline-query'
import { type PfnRange, PfnSet } from '@ullage/pages'
import type { Compression, VmcoreFrames, VmcoreHeader } from '@ullage/vmcore'
import type { GuestWord } from './guest-word.ts'
import type { DumpPlan } from './plan-dump.ts'

export function vmcoreHeaderOf(parts: {
  guest: OpenGuest
  pageBytes: number
  word: GuestWord
  cpus: number
  elfNotes: Uint8Array
  level: number
  compression: Compression
}): VmcoreHeader {
  const { guest, word } = parts
  return {
    machine: guest.identity.machine,
    pageBytes: parts.pageBytes,
    uname: word.linux?.uts ?? { sysname: '', nodename: '', release: '', version: '', domainname: '' },
    cpus: parts.cpus,
    physBase: word.linux?.physBase ?? 0n,
    dumpLevel: parts.level,
    compression: parts.compression,
    elfNotes: parts.elfNotes,
    timestamp: new Date(),
  }
}

/** The plan as the two bitmaps of a vmcore. */
export function vmcoreFramesOf(plan: DumpPlan): VmcoreFrames {
  const stored = new PfnSet()
  for (const run of plan.write.allRuns()) stored.add(run)
  for (const run of plan.zero.allRuns()) stored.add(run)
  return {
    maxPfn: plan.maxPfn,
    present: (): Iterable<PfnRange> => plan.present.allRuns(),
    stored: (): Iterable<PfnRange> => stored.allRuns(),
    storedCount: stored.size,
  }
}
