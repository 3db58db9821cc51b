import type { OpenGuest } from '@ullage/offline-query'
import type { DumpOptions } from './dump-options.ts'
import type { DumpSource } from './dump-source.ts'
import { estimateArtifact } from './estimate.ts'
import { examineGuest, type Examination } from './examine-guest.ts'
import { type RewrittenGuest, rewriteGuest } from './pv-tables/rewrite-guest.ts'
import type { SpaceNeed } from './space-need.ts'
import { usableNotes } from './usable-notes.ts'
import { withVmcoreinfo } from './vmcoreinfo-note.ts'

/** What a dump is made from, and what follows for its artifact. */
export interface ClassifiedGuest {
  readonly examined: Examination
  readonly cpus: number
  /** What is written. */
  readonly source: DumpSource
  /** The same, where page tables are rewritten. */
  readonly rewritten: RewrittenGuest | undefined
  readonly estimate: SpaceNeed
}

/** Reads the guest's notes, asks both witnesses about every frame, and decides. Throws OfflineError, or the signal's reason. */
export async function classifyGuest(
  guest: OpenGuest,
  options: DumpOptions,
  likelyVmcoreinfoPfn: number | undefined,
): Promise<ClassifiedGuest> {
  const signal = options.signal ? { signal: options.signal } : {}
  options.onProgress?.({ stage: 'classify', done: 0, total: 1 })
  const { elfNotes: guestNotes, cpus } = await guest.notes(signal)
  const asked = await examineGuest(guest, {
    ...options,
    elfNotes: guestNotes,
    expectVcpus: guest.identity.kind === 'live',
    likelyVmcoreinfoPfn,
  })
  const usable = usableNotes(guestNotes)
  const examined = { ...asked, warnings: [...asked.warnings, ...usable.warnings] }
  const { linux } = examined.word
  const elfNotes = linux ? withVmcoreinfo(usable.elfNotes, linux.vmcoreinfo.text) : usable.elfNotes
  const kept: DumpSource = { memory: examined.memory, plan: examined.plan, elfNotes }
  const rewritten =
    options.pvTables === 'keep'
      ? undefined
      : rewriteGuest(guest, kept, { mode: options.pvTables, rootPfn: linux?.rootPfn, ...signal })
  const source = rewritten ?? kept
  const estimate = estimateArtifact(source.plan, {
    frameBytes: source.memory.frameBytes,
    format: options.format,
    notesBytes: source.elfNotes.length,
  })
  return { examined, cpus, source, rewritten, estimate }
}
