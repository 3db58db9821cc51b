import { LayoutError, readElfNotes } from '@ullage/layout'
import type { Warning } from './report.ts'

/** QEMU takes no more of a guest (include/system/dump.h MAX_GUEST_NOTE_SIZE), and readers of a dump no more than that. */
const MAX_VMCOREINFO_BYTES = 2 ** 20

/**
 * The notes that a dump can carry: those before the first that cannot be read, without a VMCOREINFO that is larger than any.
 * A guest writes some of its notes itself, and what it writes there must not keep it from being dumped. Says what is lost.
 */
export function usableNotes(elfNotes: Uint8Array): { elfNotes: Uint8Array; warnings: Warning[] } {
  const kept: Uint8Array[] = []
  const warnings: Warning[] = []
  let at = 0
  try {
    for (const note of readElfNotes(elfNotes)) {
      const end = Math.min(elfNotes.length, Math.ceil((note.descPosition + note.desc.length) / 4) * 4)
      if (note.name === 'VMCOREINFO' && note.desc.length > MAX_VMCOREINFO_BYTES) {
        const text = `the guest's VMCOREINFO note of ${note.desc.length} bytes is left out: none has more than ${MAX_VMCOREINFO_BYTES}`
        warnings.push({ code: 'NOTES_CUT', text })
      } else kept.push(elfNotes.subarray(at, end))
      at = end
    }
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error
    const text = `the guest's notes from byte ${at} on are left out, they are none: ${error.message}`
    warnings.push({ code: 'NOTES_CUT', text })
  }
  return { elfNotes: warnings.length === 0 ? elfNotes : Buffer.concat(kept), warnings }
}
