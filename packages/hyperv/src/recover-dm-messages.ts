import { setImmediate } from 'node:timers/promises'
import { type OpenGuest, throwIfAborted } from '@ullage/offline-query'
import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import { DM_TYPE, DmHeader, DmVersionRequest } from './dm-layout.ts'
import type { DmSender } from './dm-message.ts'
import { inWireOrder } from './in-wire-order.ts'
import { ringMessages } from './ring-messages.ts'
import { HvRingBuffer, VM_PKT_DATA_INBAND, VmpacketDescriptor } from './vmbus-layout.ts'

/** Frames read at once while looking. */
const WINDOW_FRAMES = 256
/** Data pages of one ring: Linux gives hv_balloon 4. */
const MAX_RING_FRAMES = 64
/** Pages that look like the start of a ring, after which the search ends: a guest can make as many as it likes. */
const MAX_CANDIDATES = 1024

/** The messages of one channel that were found in guest memory. */
export interface RecoveredChannel {
  /** The frame that holds the header of the ring from guest to host. */
  readonly pfn: number
  /** In the order of the wire as far as requests and answers tell it. */
  readonly messages: readonly { readonly from: DmSender; readonly bytes: Uint8Array }[]
}

/**
 * Looks in guest memory for the ring buffers of hv_balloon's VMBus channel and returns the messages in them: of rings that
 * have not wrapped, which hold about 200 status reports, and whose pages lie side by side, as Linux allocates them. Reads
 * every frame that the host does not call unbacked. What it finds is what the guest's memory holds, that is, what the
 * guest says: to compare with, never to rely on. Bounded in memory and time whatever the guest holds. Throws what reading
 * throws, and AbortError.
 */
export async function recoverDmMessages(
  guest: Pick<OpenGuest, 'memory' | 'backing'>,
  options: { signal?: AbortSignal } = {},
): Promise<RecoveredChannel[]> {
  const { memory } = guest
  const readable = await readableFrames(guest, options.signal)
  const found: RecoveredChannel[] = []
  let candidates = 0
  const window = new Uint8Array(WINDOW_FRAMES * memory.frameBytes)
  for (const range of windowsOf(readable)) {
    await setImmediate()
    throwIfAborted(options.signal)
    const bytes = window.subarray(0, range.count * memory.frameBytes)
    memory.read(range, bytes)
    for (let i = 0; i < range.count; i++) {
      if (!startsRing(bytes.subarray(i * memory.frameBytes, (i + 1) * memory.frameBytes))) continue
      if (++candidates > MAX_CANDIDATES) return found
      const channel = readChannelAt(range.start + i, memory, readable)
      if (channel) found.push(channel)
    }
  }
  return found
}

async function readableFrames(
  { memory, backing }: Pick<OpenGuest, 'memory' | 'backing'>,
  signal?: AbortSignal,
): Promise<PfnSet> {
  const readable = new PfnSet()
  for (const { start, count } of memory.extents) {
    const within = { start, count }
    for await (const run of backing.backing(signal ? { within, signal } : { within })) {
      if (run.state !== 'unbacked') readable.add(run)
    }
  }
  return readable
}

function* windowsOf(frames: PfnSet): Generator<PfnRange> {
  for (const run of frames.allRuns()) {
    for (let start = run.start; start < endOf(run); start += WINDOW_FRAMES) {
      yield { start, count: Math.min(WINDOW_FRAMES, endOf(run) - start) }
    }
  }
}

/** Whether a page begins with the packet that a guest sends first: its offer of a version. */
function startsRing(page: Uint8Array): boolean {
  const { type, offset8, len8 } = VmpacketDescriptor.read(page)
  if (type !== VM_PKT_DATA_INBAND || offset8 * 8 !== VmpacketDescriptor.size) return false
  const message = DmHeader.read(page, VmpacketDescriptor.size)
  const length = VmpacketDescriptor.size + DmVersionRequest.size
  return len8 * 8 === length && message.type === DM_TYPE.VERSION_REQUEST && message.size === DmVersionRequest.size
}

/** The channel whose first data page from guest to host is `pfn`: its header before it, the other ring behind its data. */
function readChannelAt(pfn: number, memory: OpenGuest['memory'], readable: PfnSet): RecoveredChannel | undefined {
  const sent = readRing(pfn - 1, memory, readable)
  if (!sent) return undefined
  for (let frames = 1; frames <= MAX_RING_FRAMES; frames++) {
    const received = readRing(pfn + frames, memory, readable)
    const [first] = received ?? []
    if (!received || !first || DmHeader.read(first).type !== DM_TYPE.VERSION_RESPONSE) continue
    return { pfn: pfn - 1, messages: inWireOrder(sent, received) }
  }
  return undefined
}

/** Messages of the ring whose header is frame `header`; undefined when there is none, or it has wrapped. */
function readRing(header: number, memory: OpenGuest['memory'], readable: PfnSet): Uint8Array[] | undefined {
  const { frameBytes } = memory
  const page = readFrames({ start: header, count: 1 }, memory, readable)
  if (!page) return undefined
  const { write_index, read_index } = HvRingBuffer.read(page)
  const isEmptyOrOdd = write_index === 0 || write_index % 8 !== 0 || read_index > write_index
  if (isEmptyOrOdd || write_index > MAX_RING_FRAMES * frameBytes) return undefined
  const data = readFrames({ start: header + 1, count: Math.ceil(write_index / frameBytes) }, memory, readable)
  return data && ringMessages(data.subarray(0, write_index))
}

function readFrames(range: PfnRange, memory: OpenGuest['memory'], readable: PfnSet): Uint8Array | undefined {
  if (range.start < 0 || readable.next(range.start, false, endOf(range)) !== endOf(range)) return undefined
  const bytes = new Uint8Array(range.count * memory.frameBytes)
  memory.read(range, bytes)
  return bytes
}
