import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError } from './lab-error.ts'
import type { LabGuest } from './lab-guest.ts'
import { openMemoryView, type SizedMemoryView } from './memory-view.ts'
import { readNoteSegment } from './note-segment.ts'

/** RAM and notes of a live guest while it is stopped. */
export interface StoppedMemory extends Disposable {
  readonly view: SizedMemoryView
  /** The notes QEMU writes: those of the vCPUs, then VMCOREINFO where the guest handed it over. */
  readonly elfNotes: Uint8Array
}

/** Opens the RAM of a stopped guest whose memory is in shared files. Disposing closes the files. */
export async function openStoppedMemory(guest: LabGuest): Promise<StoppedMemory> {
  const files = guest.backedRanges()
  const regions = flatRanges(await guest.hmp('info mtree -f')).map(({ gpaBytes, sizeBytes, name, offsetBytes }) => {
    const backed = files[name === 'ram0' ? 0 : 1]
    if (!backed) throw new LabError(`no file holds the memory ${name}`)
    return { gpaBytes, sizeBytes, offsetBytes, file: backed.file, backedBytes: backed.ranges }
  })
  const view = openMemoryView(regions, { machine: guest.era.machine })
  const notes = join(guest.folder, 'notes.elf')
  const first = view.backed.allRuns().next().value
  if (!first) throw new LabError('the host backs no frame of the guest')
  const begin = first.start * view.frameBytes
  // One frame of memory in the dump: QEMU reads no other, so no hole of the files is filled.
  await guest.qmp('dump-guest-memory', { paging: false, protocol: `file:${notes}`, begin, length: view.frameBytes })
  return {
    view,
    elfNotes: readNoteSegment(await readFile(notes)),
    [Symbol.dispose]: () => view[Symbol.dispose](),
  }
}

interface FlatRange {
  readonly gpaBytes: number
  readonly sizeBytes: number
  readonly name: string
  readonly offsetBytes: number
}

/** Ranges of the flat view of the address space `memory` that show the lab's memory backends, as RAM or as ROM. */
function flatRanges(mtree: string): FlatRange[] {
  const view = mtree.split(/\n(?=FlatView)/).find((part) => /AS "memory"/.test(part))
  if (view === undefined) throw new LabError('info mtree -f shows no address space called memory')
  const line = /^\s+([0-9a-f]{16})-([0-9a-f]{16}) \(prio \d+, (?:ram|rom)\): (ram0|vm0)(?: @([0-9a-f]+))?/gm
  return [...view.matchAll(line)].map(([, first = '', last = '', name = '', offset = '0']) => {
    const gpaBytes = Number.parseInt(first, 16)
    const sizeBytes = Number.parseInt(last, 16) + 1 - gpaBytes
    return { gpaBytes, sizeBytes, name, offsetBytes: Number.parseInt(offset, 16) }
  })
}
