import { type GuestMemory, OfflineError, type RamExtent, type UnbackedReads } from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import type { HostStates } from './host-states.ts'

/** Guest RAM and the host's word on it, counted in the same frames. */
export interface SizedMemory {
  readonly memory: GuestMemory
  readonly host: HostStates
}

/**
 * The same in frames of `frameBytes`, a multiple of what a backend knows: the pages of an arm64 guest may have 16 or 64 KiB,
 * and the host gives and takes less at a time. A frame of which any part has memory is not unbacked. Where the guest itself
 * would read zeros from the parts that have none, so does `read`, without touching them; else such a frame is `UNREADABLE`.
 */
export function inFramesOf(frameBytes: number, small: SizedMemory, unbackedReads: UnbackedReads): SizedMemory {
  const factor = frameBytes / small.memory.frameBytes
  if (factor === 1) return small
  if (!Number.isInteger(factor)) {
    throw new RangeError(`frames of ${frameBytes} bytes are not made of whole ones of ${small.memory.frameBytes}`)
  }
  const extents = largerExtents(small.memory.extents, factor)
  const host = small.host.inLargerFrames(extents, factor)
  const memory: GuestMemory = {
    frameBytes,
    extents,
    notDumped: small.memory.notDumped,
    read: (range, into) => {
      const parts = { start: range.start * factor, count: range.count * factor }
      if (small.host.isReadable(parts)) return readParts(small.memory, parts, into)
      if (unbackedReads !== 'zeros' || !host.isReadable(range)) throw partlyBacked(range, frameBytes)
      readOrZero(small, parts, into)
    },
  }
  return { memory, host }
}

/** Each extent with the frames that it begins and ends in; a frame that two share belongs to the first. */
function largerExtents(extents: readonly RamExtent[], factor: number): RamExtent[] {
  const larger: RamExtent[] = []
  for (const extent of extents) {
    const last = larger.at(-1)
    const start = Math.max(Math.floor(extent.start / factor), last ? endOf(last) : 0)
    const count = Math.ceil(endOf(extent) / factor) - start
    if (count > 0) larger.push({ name: extent.name, start, count })
  }
  return larger
}

/** Reads what has memory of `parts`, and zeros for what has none. */
function readOrZero({ memory, host }: SizedMemory, parts: PfnRange, into: Uint8Array): void {
  const { frameBytes } = memory
  for (let pfn = parts.start; pfn < endOf(parts); ) {
    const isReadable = host.isReadable({ start: pfn, count: 1 })
    let end = pfn + 1
    while (end < endOf(parts) && host.isReadable({ start: end, count: 1 }) === isReadable) end++
    const bytes = into.subarray((pfn - parts.start) * frameBytes, (end - parts.start) * frameBytes)
    if (isReadable) readParts(memory, { start: pfn, count: end - pfn }, bytes)
    else bytes.fill(0)
    pfn = end
  }
}

function readParts(memory: GuestMemory, parts: PfnRange, into: Uint8Array): void {
  try {
    memory.read(parts, into)
  } catch (error) {
    if (!(error instanceof OfflineError) || error.code !== 'UNREADABLE') throw error
    const message = `counted in frames of ${memory.frameBytes} bytes: ${error.message}`
    throw new OfflineError('UNREADABLE', message, { cause: error })
  }
}

function partlyBacked(range: PfnRange, frameBytes: number): OfflineError {
  const where = `frames [${range.start}, ${endOf(range)}) of ${frameBytes} bytes`
  return new OfflineError('UNREADABLE', `${where} have parts without memory, which would read as nothing`)
}
