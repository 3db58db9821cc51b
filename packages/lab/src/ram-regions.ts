import { LabError } from './lab-error.ts'
import type { LabGuest } from './lab-guest.ts'

/** A run of guest RAM and where a file holds it. */
export interface RamRegion {
  /** Guest physical address of its first byte. */
  readonly gpaBytes: number
  readonly sizeBytes: number
  readonly file: string
  readonly offsetBytes: number
}

/** Where the guest sees its RAM, ascending, as QEMU's flat view has it. Throws LabError where no file holds the RAM. */
export async function ramRegions(guest: LabGuest): Promise<RamRegion[]> {
  return flatRanges(await guest.hmp('info mtree -f')).map(({ name, ...range }) => {
    const file = guest.ramFiles[name === 'ram0' ? 0 : 1]
    if (file === undefined) throw new LabError(`no file holds the memory ${name}`)
    return { ...range, file }
  })
}

/** Ranges of the flat view of the address space `memory` that show the lab's memory backends, as RAM or as ROM. */
function flatRanges(mtree: string): (Omit<RamRegion, 'file'> & { readonly name: string })[] {
  const view = mtree.split(/\n(?=FlatView)/).find((part) => /AS "memory"/.test(part))
  if (view === undefined) throw new LabError('info mtree -f shows no address space called memory')
  const line = /^\s+([0-9a-f]{16})-([0-9a-f]{16}) \(prio \d+, (?:ram|rom)\): (ram0|vm0)(?: @([0-9a-f]+))?/gm
  return [...view.matchAll(line)].map(([, first = '', last = '', name = '', offset = '0']) => {
    const gpaBytes = Number.parseInt(first, 16)
    const sizeBytes = Number.parseInt(last, 16) + 1 - gpaBytes
    return { gpaBytes, sizeBytes, name, offsetBytes: Number.parseInt(offset, 16) }
  })
}
