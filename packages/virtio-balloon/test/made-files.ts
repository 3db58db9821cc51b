import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { ConformanceFixture } from '@ullage/offline-query/conformance'
import { openVirtioBalloon } from '@ullage/virtio-balloon'

export const FRAME_BYTES = 4096
const FOUR_GIB_FRAMES = 2 ** 20
const FILE_FRAMES = 3072

/** Guest frames and the place of their content in the file, in frames: PAM hole, split above 4 GiB, as a PC has them. */
const LAYOUT = [
  { start: 0, count: 160, at: 0 },
  { start: 256, count: 1792, at: 256 },
  { start: FOUR_GIB_FRAMES, count: 1024, at: 2048 },
] as const

/** Runs of the file that hold data, in frames; everything else is a hole. */
const DATA = [
  [0, 8],
  [100, 160],
  [256, 300],
  [1000, 1001],
  [1500, 2112],
  [2113, 2114],
  [2600, 3072],
] as const

/** A guest's RAM in a file made for a test. */
export interface MadeGuest extends Disposable {
  readonly folder: string
  readonly ramPath: string
  open(files?: { backing?: string; notes?: string }): Promise<ConformanceFixture>
}

/** Makes the file on tmpfs, where a hole is exactly one page. `holes: 'lost'` writes zeros where the holes would be. */
export function makeGuest(holes: 'kept' | 'lost'): MadeGuest {
  const folder = mkdtempSync('/dev/shm/ullage-made-')
  const ramPath = join(folder, 'ram.raw')
  const fd = openSync(ramPath, 'w')
  ftruncateSync(fd, FILE_FRAMES * FRAME_BYTES)
  if (holes === 'lost') writeSync(fd, Buffer.alloc(FILE_FRAMES * FRAME_BYTES))
  for (const [start, end] of DATA) {
    for (let frame = start; frame < end; frame++) writeSync(fd, contentOf(frame), 0, FRAME_BYTES, frame * FRAME_BYTES)
  }
  closeSync(fd)
  const regions = LAYOUT.map(({ start, count, at }) => ({
    gpa: start * FRAME_BYTES,
    size: count * FRAME_BYTES,
    file: 'ram.raw',
    offset: at * FRAME_BYTES,
  }))
  const backing = { regions: regions.map(() => DATA.map((range) => range.map((frame) => frame * FRAME_BYTES))) }
  writeFileSync(join(folder, 'backing.json'), JSON.stringify(backing))
  return {
    folder,
    ramPath,
    open: async (files = {}) => ({
      guest: await openVirtioBalloon(
        { kind: 'files', regions, ...files },
        { baseDir: folder, stateDir: join(folder, 'state') },
      ),
      truth: {
        states: LAYOUT.flatMap(({ start, count, at }) =>
          DATA.flatMap(([from, to]) => {
            const first = Math.max(from, at)
            const last = Math.min(to, at + count)
            return last > first ? [{ start: start + first - at, count: last - first, state: 'backed' as const }] : []
          }),
        ),
        content: (pfn) => contentOf(frameInFile(pfn)),
      },
    }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** A frame of the file that says which one it is, all over. */
function contentOf(frame: number): Uint8Array {
  return new Uint8Array(new Float64Array(FRAME_BYTES / 8).fill(frame + 0.5).buffer)
}

function frameInFile(pfn: number): number {
  const part = LAYOUT.find(({ start, count }) => start <= pfn && pfn < start + count)
  if (!part) throw new RangeError(`frame ${pfn} is not in the made guest`)
  return pfn - part.start + part.at
}
