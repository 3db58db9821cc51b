import { readU64 } from '@ullage/layout'
import type { GuestFile } from './guest-file.ts'
import type { CoreHeader } from './core-header.ts'
import { INVALID_FRAME, PAGE_BYTES } from './core-layout.ts'
import { type CoreSection, corrupt } from './core-sections.ts'
import { FrameRuns } from './frame-runs.ts'
import { refuseFragments } from './refuse-fragments.ts'
import { Turns } from './turns.ts'

const PIECE_BYTES = 1 << 20
/** Frames that 52 physical address bits can name. */
const FRAME_LIMIT = 2 ** 40

/** Which frames a core holds, and where. */
export interface CoreFrames {
  /** Guest frame → offset of its page in the file, in bytes. */
  readonly pages: FrameRuns
  /** Guest frame → machine frame, for PV; undefined where the guest's frames are its own. */
  readonly machine: FrameRuns | undefined
  /** Number of frames that have a page. */
  readonly backed: number
  /** Entries that are padding. */
  readonly padding: number
}

/**
 * Reads `.xen_p2m` (PV) or `.xen_pfn` (auto-translated) in pieces. Throws OfflineError CORRUPT when the table is absent,
 * does not fit the pages, or its frames do not ascend or lie beyond any machine's memory.
 */
export async function readCoreFrames(
  file: GuestFile,
  header: CoreHeader,
  sections: { pages: CoreSection; p2m: CoreSection | undefined; pfn: CoreSection | undefined },
  signal: AbortSignal | undefined,
): Promise<CoreFrames> {
  const { p2m, pfn } = sections
  if ((p2m === undefined) === (pfn === undefined)) {
    throw corrupt(file, `expected a section .xen_p2m or .xen_pfn, found ${p2m ? 'both' : 'neither'}`)
  }
  if (p2m && header.kind === 'hvm') throw corrupt(file, 'expected .xen_pfn in the core of an HVM guest, found .xen_p2m')
  const table = (p2m ?? pfn) as CoreSection
  const entryBytes = p2m ? 16 : 8
  checkSizes(file, header, sections.pages, table, entryBytes)

  const pages = new FrameRuns(PAGE_BYTES)
  const machine = p2m ? new FrameRuns() : undefined
  let padding = 0
  let index = 0
  const turns = new Turns(signal)
  for (const view of pieces(file, table)) {
    await turns.take()
    for (let at = 0; at < view.byteLength; at += entryBytes, index++) {
      const frame = readU64(view, at)
      if (frame === Number(INVALID_FRAME) && view.getBigUint64(at, true) === INVALID_FRAME) {
        padding++
        continue
      }
      const where = (): string => `entry ${index} of ${table.name}`
      if (frame >= FRAME_LIMIT) {
        throw corrupt(file, `${where()} names frame 0x${view.getBigUint64(at, true).toString(16)}, beyond any memory`)
      }
      if (frame < pages.end)
        throw corrupt(file, `${where()} names frame ${frame} after ${pages.end - 1}: not ascending`)
      pages.add(frame, sections.pages.offsetBytes + index * PAGE_BYTES)
      refuseFragments(file.path, table.name, pages)
      if (!machine) continue
      const gmfn = readU64(view, at + 8)
      if (gmfn >= FRAME_LIMIT) {
        const found = view.getBigUint64(at + 8, true).toString(16)
        throw corrupt(file, `${where()} gives frame ${frame} the machine frame 0x${found}, beyond any memory`)
      }
      machine.add(frame, gmfn)
      refuseFragments(file.path, table.name, machine)
    }
  }
  const backed = index - padding
  if (backed === 0) throw corrupt(file, `${table.name} names no frame: a guest has memory`)
  return { pages, machine, backed, padding }
}

function checkSizes(
  file: GuestFile,
  { pages }: CoreHeader,
  pagesSection: CoreSection,
  table: CoreSection,
  entryBytes: number,
): void {
  for (const [section, bytes] of [
    [pagesSection, PAGE_BYTES],
    [table, entryBytes],
  ] as const) {
    if (section.sizeBytes === pages * bytes) continue
    throw corrupt(
      file,
      `${section.name} should have ${pages} entries of ${bytes} bytes, as the header counts, it has ${section.sizeBytes} bytes`,
    )
  }
}

function* pieces(file: GuestFile, table: CoreSection): Generator<DataView> {
  const bytes = new Uint8Array(Math.min(PIECE_BYTES, table.sizeBytes))
  for (let at = 0; at < table.sizeBytes; at += bytes.length) {
    const piece = bytes.subarray(0, Math.min(bytes.length, table.sizeBytes - at))
    file.read(table.offsetBytes + at, piece, `section ${table.name}`)
    yield new DataView(piece.buffer, 0, piece.length)
  }
}
