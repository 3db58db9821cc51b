import { findElfNote } from '@ullage/layout'
import { endOf } from '@ullage/pages'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HypervFixture } from '../hyperv-fixtures.ts'
import { type MemoryView, openMemoryView } from '../memory-view.ts'
import { readNoteSegment } from '../note-segment.ts'
import { type MadeMemoryBlock, writeSavedState } from './made-saved-state.ts'
import { encodePartitionState } from './partition-state.ts'
import type { RamBlockForm } from './ram-block.ts'
import { vpOfNote } from './vp-of-note.ts'

const FRAME_BYTES = 4096
const BLOCK_FRAMES = 256
/** What the host of `hyperv-hotadd` hot-added, in frames: the guest's memory block goes 7168 frames further. */
const HOT_ADDED = { start: 0x80_0000, count: 25_600 }

export interface FixtureSavedState {
  readonly path: string
  /** Memory as the kept guest has it. */
  readonly memory: MemoryView
  /** Frames of guest RAM whose RamBlock was left out: a MiB of which the host backed nothing. */
  isAbsent(pfn: number): boolean
}

/**
 * Writes the kept Hyper-V guest as a saved state at `path`: RAM below the hot-added memory in two memory blocks, the
 * hot-added one apart, and no RamBlock where the host had no memory for a whole MiB. Registers are those of its notes.
 */
export function writeFixtureSavedState(path: string, fixture: HypervFixture, form: RamBlockForm): FixtureSavedState {
  const memory = openMemoryView(fixture.regions)
  const boot = { start: 0, count: 65_536 }
  const split = 160 * BLOCK_FRAMES
  const ranges = [
    { start: 0, count: split },
    { start: split, count: boot.count - split },
    { ...HOT_ADDED, isHotAdded: true },
  ]
  const read = (pfn: number, into: Uint8Array): void => {
    into.fill(0)
    const within = { start: pfn, count: into.length / FRAME_BYTES }
    for (const run of memory.backed.runs(within)) {
      memory.read(run, into.subarray((run.start - pfn) * FRAME_BYTES, (endOf(run) - pfn) * FRAME_BYTES))
    }
  }
  const isAbsent = (pfn: number): boolean => {
    const start = Math.floor(pfn / BLOCK_FRAMES) * BLOCK_FRAMES
    return memory.backed.countIn({ start, count: BLOCK_FRAMES }) === 0
  }
  const notes = readNoteSegment(readFileSync(join(fixture.dir, 'notes.elf')))
  const vp = vpOfNote(findElfNote(notes, 'QEMU')?.desc ?? new Uint8Array(0), 0)
  const blocks: MadeMemoryBlock[] = ranges.map((range) => ({ ...range, read }))
  writeSavedState(path, { blocks, form, isAbsent, partitionState: encodePartitionState([vp]) })
  return { path, memory, isAbsent }
}
