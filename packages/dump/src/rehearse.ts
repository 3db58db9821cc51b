import { OfflineError, type OpenGuest } from '@ullage/offline-query'
import { countFrames } from '@ullage/pages'
import type { DumpOptions } from './dump-options.ts'
import { estimateArtifact } from './estimate.ts'
import { examineGuest } from './examine-guest.ts'
import { needOfRam } from './need-of-ram.ts'
import type { SpaceNeed } from './space-need.ts'

export interface Rehearsal {
  /** For how many milliseconds the guest may have stood still. */
  readonly stoodMs: number
  /** Bytes of pages that were to be written then; 0 when that is not known. */
  readonly writeBytes: number
  /** What the artifact may take, and what more the guest may come to use until it is stopped. */
  readonly need: SpaceNeed
  /** Frame of the guest's VMCOREINFO page, where its place is known. */
  readonly vmcoreinfoPfn?: number | undefined
}

/** Pages that a guest may come to use between its rehearsal and its pause, in bytes, beside an eighth of what it has. */
export const SPARE_BYTES = 4 << 20

/** Frames of a guest for which it pays: the code that looks at more of them is fast before it is half through. */
const MOST_FRAMES = 2 ** 22

/**
 * Looks at a guest that still runs as it will be looked at when it stands still, and forgets the answers but for how much is to be
 * written and where VMCOREINFO is: code that has run
 * once runs several times faster, and what it reads is in the caches of the processor. QEMU stops the guest for
 * its notes for a moment. Where questions cost a hypervisor there is no rehearsal. Throws the signal's reason; what a running guest's memory contradicts itself in is no error.
 */
export async function rehearse(guest: OpenGuest, options: DumpOptions): Promise<Rehearsal> {
  const { memory, backing } = guest
  const unknown = { writeBytes: 0, need: needOfRam(memory, options) }
  if (backing.capabilities.costly === true || countFrames(memory.extents) > MOST_FRAMES)
    return { stoodMs: 0, ...unknown }
  const signal = options.signal ? { signal: options.signal } : {}
  let stoodMs = 0
  try {
    const { elfNotes, ...notes } = await guest.notes(signal)
    stoodMs = notes.stoodMs ?? 0
    await guest.hostMemory()
    const { trust, level } = options
    const {
      plan,
      memory: sized,
      word,
    } = await examineGuest(guest, {
      trust,
      level,
      elfNotes,
      expectVcpus: true,
      search: false,
      ...signal,
    })
    const writeBytes = plan.write.size * sized.frameBytes
    const { atLeastBytes, atMostBytes } = estimateArtifact(plan, {
      frameBytes: sized.frameBytes,
      format: options.format,
      notesBytes: elfNotes.length,
    })
    const spareBytes = Math.ceil(writeBytes / 8) + SPARE_BYTES
    const need = { atLeastBytes, atMostBytes: Math.min(atMostBytes + spareBytes, unknown.need.atMostBytes) }
    return { stoodMs, writeBytes, need, vmcoreinfoPfn: word.linux?.vmcoreinfoPfn }
  } catch (error) {
    if (!(error instanceof OfflineError)) throw error
  }
  return { stoodMs, ...unknown }
}
