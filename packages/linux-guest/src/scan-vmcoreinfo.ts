import { endOf } from '@ullage/pages'
import type { GuestFrames } from './guest-frames.ts'
import { VMCOREINFO_MAX_BYTES } from './vmcoreinfo.ts'

/** A page of guest memory that begins like VMCOREINFO. */
export interface VmcoreinfoPage {
  readonly pfn: number
  readonly text: string
}

const PIECE_BYTES = 1 << 20
/** How often the scan lets other work of the process run and looks whether it was cancelled. */
const PIECES_PER_TURN = 64
const MARK = new TextEncoder().encode('OSRELEASE=')

/**
 * Every readable frame of guest RAM that begins with `OSRELEASE=`, ascending. The kernel keeps the text in a page of its
 * own (kernel/vmcore_info.c). Reads all of guest RAM that the host backs; throws the signal's reason when aborted.
 */
export async function* scanVmcoreinfo(
  frames: GuestFrames,
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<VmcoreinfoPage> {
  const { frameBytes } = frames
  const pieceFrames = Math.max(1, PIECE_BYTES / frameBytes)
  const bytes = new Uint8Array(pieceFrames * frameBytes)
  const readable = new Uint8Array(pieceFrames)
  let pieces = 0
  for (const extent of frames.view.extents) {
    const end = endOf(extent)
    for (let start = frames.nextReadable(extent.start, end); start < end; ) {
      const count = Math.min(pieceFrames, end - start)
      frames.readWhatCanBe({ start, count }, bytes.subarray(0, count * frameBytes), readable, 0)
      for (let i = 0; i < count; i++) {
        const at = i * frameBytes
        if (readable[i] !== 1 || bytes[at] !== MARK[0]) continue
        const page = bytes.subarray(at, at + frameBytes)
        if (startsVmcoreinfo(page)) yield { pfn: start + i, text: wholeText(frames, start + i, page) }
      }
      if (++pieces % PIECES_PER_TURN === 0) {
        await new Promise((resolve) => setImmediate(resolve))
        options.signal?.throwIfAborted()
      }
      start = frames.nextReadable(start + count, end)
    }
  }
}

/** The text that begins in frame `pfn`, whose content is `page`. Pages of an arm64 guest may be larger than a frame here. */
function wholeText(frames: GuestFrames, pfn: number, page: Uint8Array): string {
  if (frames.view.machine === 'x86_64' || page.includes(0)) return textOf(page)
  const parts = [Uint8Array.from(page)]
  const next = new Uint8Array(frames.frameBytes)
  const most = Math.floor(VMCOREINFO_MAX_BYTES / frames.frameBytes)
  for (let i = 1; i < most && frames.readFrame(pfn + i, next); i++) {
    parts.push(Uint8Array.from(next))
    if (next.includes(0)) break
  }
  return textOf(Buffer.concat(parts))
}

/** Whether `page` begins like VMCOREINFO. */
export function startsVmcoreinfo(page: Uint8Array): boolean {
  return MARK.every((byte, i) => page[i] === byte)
}

/**
 * The text of `page` up to its first NUL: of a page, or of a note that may have gigabytes, of which no more is taken than
 * shows that it is too long.
 */
export function textOf(page: Uint8Array): string {
  const most = page.subarray(0, VMCOREINFO_MAX_BYTES + 1)
  const end = most.indexOf(0)
  return new TextDecoder('latin1').decode(end === -1 ? most : most.subarray(0, end))
}
