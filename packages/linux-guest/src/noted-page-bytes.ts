import { LayoutError, readElfNotes } from '@ullage/layout'
import type { GuestView } from './guest-view.ts'
import { Refusal } from './refusal.ts'
import { textOf } from './scan-vmcoreinfo.ts'
import { Vmcoreinfo } from './vmcoreinfo.ts'

const ARM64_PAGES = [4096, 16_384, 65_536]

/**
 * Page size that a VMCOREINFO note claims, in bytes, where guests of `machine` may have several and none is known for sure;
 * undefined where no note claims one. Readers of a vmcore expect its blocks to be of the size that its notes name.
 */
export function notedPageBytes(machine: GuestView['machine'], elfNotes: Uint8Array): number | undefined {
  if (machine !== 'aarch64') return undefined
  try {
    for (const note of readElfNotes(elfNotes)) {
      if (note.name !== 'VMCOREINFO') continue
      const { pageBytes } = Vmcoreinfo.parse(textOf(note.desc))
      return ARM64_PAGES.find((bytes) => bytes === pageBytes)
    }
  } catch (error) {
    if (!(error instanceof LayoutError || error instanceof Refusal)) throw error
  }
  return undefined
}
