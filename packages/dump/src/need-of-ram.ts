import { countFrames, endOf, type PfnRange } from '@ullage/pages'
import type { DumpOptions } from './dump-options.ts'
import { estimateArtifact } from './estimate.ts'
import type { SpaceNeed } from './space-need.ts'

/** Notes that nobody has seen yet: QEMU takes no more of a guest than 1 MiB, and the CPUs' take a few KiB each. */
const UNSEEN_NOTES_BYTES = 2 << 20
/** Frames of guest RAM for one of crash's list, which stands above it, and some. */
const FRAMES_PER_LISTED = 512
const LIST_HEAD_FRAMES = 1024

/** What a dump takes of which nothing is known but the guest's RAM: headers and bitmaps, up to all of it. */
export function needOfRam(
  { extents, frameBytes }: { extents: readonly PfnRange[]; frameBytes: number },
  { format, pvTables }: Pick<DumpOptions, 'format' | 'pvTables'>,
): SpaceNeed {
  const end = Math.max(0, ...extents.map(endOf))
  const listed = pvTables === 'crash' ? Math.ceil(end / FRAMES_PER_LISTED) + LIST_HEAD_FRAMES : 0
  const of = (frames: number, notesBytes: number) =>
    estimateArtifact(
      { write: { size: frames }, zero: { size: 0 }, maxPfn: end + listed },
      { frameBytes, format, notesBytes },
    )
  return {
    atLeastBytes: of(0, 0).atLeastBytes,
    atMostBytes: of(countFrames(extents) + listed, UNSEEN_NOTES_BYTES).atMostBytes,
  }
}
