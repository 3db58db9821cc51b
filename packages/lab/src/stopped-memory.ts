import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError } from './lab-error.ts'
import type { LabGuest } from './lab-guest.ts'
import { openMemoryView, type SizedMemoryView } from './memory-view.ts'
import { readNoteSegment } from './note-segment.ts'
import { ramRegions } from './ram-regions.ts'
import { writeGuestNotes } from './write-guest-notes.ts'

/** RAM and notes of a live guest while it is stopped. */
export interface StoppedMemory extends Disposable {
  readonly view: SizedMemoryView
  /** The notes QEMU writes: those of the vCPUs, then VMCOREINFO where the guest handed it over. */
  readonly elfNotes: Uint8Array
}

/** Opens the RAM of a stopped guest whose memory is in shared files. Disposing closes the files. */
export async function openStoppedMemory(guest: LabGuest): Promise<StoppedMemory> {
  const backed = new Map(guest.backedRanges().map(({ file, ranges }) => [file, ranges]))
  const regions = (await ramRegions(guest)).map((region) => ({
    ...region,
    backedBytes: backed.get(region.file) ?? [],
  }))
  const view = openMemoryView(regions, { machine: guest.era.machine })
  const notes = join(guest.folder, 'notes.elf')
  const first = view.backed.allRuns().next().value
  if (!first) throw new LabError('the host backs no frame of the guest')
  await writeGuestNotes(guest, notes, first.start * view.frameBytes)
  return {
    view,
    elfNotes: readNoteSegment(await readFile(notes)),
    [Symbol.dispose]: () => view[Symbol.dispose](),
  }
}
