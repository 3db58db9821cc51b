import { makeSyntheticGuest, type SyntheticPage, writeNotesFile } from '@ullage/lab'
import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const FRAME_BYTES = 4096
const FRAMES_PER_GIB = 2 ** 18
const SECTION_FRAMES = 2 ** 15
/** Struct pages of the first 64 GiB are their own; those of all sections after them are the same ones over and over. */
const DISTINCT_SECTIONS = (64 * FRAMES_PER_GIB) / SECTION_FRAMES

/**
 * Makes a guest of `gib` GiB with a kernel of 6.12 in a sparse file: it takes 16 MiB a GiB up to 64 GiB and no more above.
 * Of its memory only what the kernel says of it is there.
 */
export async function makeSyntheticFiles(folder: string, gib: number): Promise<string> {
  const frames = gib * FRAMES_PER_GIB
  const { guest, kernel } = makeSyntheticGuest({
    extents: [{ start: 0, count: frames }],
    aliasSections: DISTINCT_SECTIONS,
    pages: leftOutPage,
  })
  const ram = join(folder, 'ram')
  const fd = openSync(ram, 'w')
  try {
    ftruncateSync(fd, frames * FRAME_BYTES)
    for (const range of kernel.memMap.frames) {
      const bytes = new Uint8Array(range.count * FRAME_BYTES)
      guest.memory.read(range, bytes)
      writeSync(fd, bytes, 0, bytes.length, range.start * FRAME_BYTES)
    }
    for (const pfn of guest.memory.written) writeSync(fd, guest.memory.frame(pfn), 0, FRAME_BYTES, pfn * FRAME_BYTES)
  } finally {
    closeSync(fd)
  }
  const notes = join(folder, 'notes.elf')
  await writeNotesFile(notes, Buffer.concat([kernel.vcpuNote, kernel.note]))
  const descriptor = join(folder, 'guest.json')
  const regions = [{ gpa: 0, size: frames * FRAME_BYTES, file: ram }]
  const source = { kind: 'files', regions, notes }
  writeFileSync(descriptor, JSON.stringify({ backend: 'virtio-balloon', source }))
  return descriptor
}

/** Only what no dump of level 31 has: what is left are the pages of the kernel itself. */
function leftOutPage(pfn: number): SyntheticPage {
  const uses = ['anon', 'cache', 'offline'] as const
  return { use: uses[scatter(pfn >>> 3) % uses.length] as (typeof uses)[number] }
}

/** A number that looks like chance, the same for the same number (Knuth's multiplicative hash, folded). */
function scatter(of: number): number {
  const word = Math.imul(of + 1, 0x9e3779b1)
  return (word ^ (word >>> 15)) >>> 0
}
