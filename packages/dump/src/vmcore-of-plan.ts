import { findElfNote } from '@ullage/layout'
import type { OpenGuest } from '@ullage/offline-query'
import { type PfnRange, PfnSet } from '@ullage/pages'
import type { Compression, VmcoreFrames, VmcoreHeader } from '@ullage/vmcore'
import type { GuestWord } from './guest-word.ts'
import type { DumpPlan } from './plan-dump.ts'

const NAMELESS = { sysname: '', nodename: '', release: '', version: '', domainname: '' }

/**
 * Of a guest whose word was not asked for or cannot be had, but whose notes claim a Linux: libkdumpfile, and so drgn, looks
 * for nothing in a dump whose header names no Linux, or has an empty name.
 */
const UNKNOWN = '(unknown)'
const SOME_LINUX = { sysname: 'Linux', nodename: UNKNOWN, release: UNKNOWN, version: UNKNOWN, domainname: UNKNOWN }

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
    uname: word.linux?.uts ?? (findElfNote(parts.elfNotes, 'VMCOREINFO') ? SOME_LINUX : NAMELESS),
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
