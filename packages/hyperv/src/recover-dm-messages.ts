import { setImmediate } from 'node:timers/promises'
import { type OpenGuest, throwIfAborted } from '@ullage/offline-query'
import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import { DM_TYPE, DmAccepted, DmHeader, DmVersionRequest } from './dm-layout.ts'
import { ringMessages, ringTail } from './ring-messages.ts'
import { HvRingBuffer, VM_PKT_DATA_INBAND, VmpacketDescriptor } from './vmbus-layout.ts'

/** Frames read at once while looking. */
const WINDOW_FRAMES = 256
/** Data pages of one ring: Linux gives hv_balloon 4. */
const MAX_RING_FRAMES = 16
/** Pages that look like the start of a ring, after which the search ends: a guest can make as many as it likes. */
const MAX_CANDIDATES = 256
/** Where the fields of a ring's header end for good; the rest of its page is zero. */
const HEADER_END = 0x50

/** The messages of one channel that were found in guest memory, by sender, in the order they were sent. */
export interface RecoveredChannel {
  /** The frame that holds the header of the ring from guest to host. */
  readonly pfn: number
  /** Whether `fromGuest` begins with the first message; else these are the last in a ring that has wrapped, or is damaged. */
  readonly isWhole: boolean
  readonly fromGuest: readonly Uint8Array[]
  /** From the first message on. */
  readonly fromHost: readonly Uint8Array[]
}

/**
 * Looks in guest memory for the ring buffers of hv_balloon's VMBus channel and returns the messages in them. Finds rings
 * whose pages lie side by side, as Linux allocates them, and of which that from host to guest, which is filled slowly, has
 * not wrapped. Reads every frame that the host does not call unbacked. What it finds is what the guest's memory holds, that
 * is, what the guest says: to compare with, never to rely on. Bounded in memory and time whatever the guest holds. Throws
 * what reading throws, and AbortError.
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
      if (!startsWithAnswer(bytes.subarray(i * memory.frameBytes, (i + 1) * memory.frameBytes))) continue
      if (++candidates > MAX_CANDIDATES) return found
      const channel = readChannel(range.start + i, memory, readable)
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

/** Whether a page begins with the packet that a host sends first: its answer to the version that the guest offers. */
function startsWithAnswer(page: Uint8Array): boolean {
  const { type, offset8, len8 } = VmpacketDescriptor.read(page)
  if (type !== VM_PKT_DATA_INBAND || offset8 * 8 !== VmpacketDescriptor.size) return false
  const message = DmHeader.read(page, VmpacketDescriptor.size)
  const isAnswer = message.type === DM_TYPE.VERSION_RESPONSE && message.size === DmAccepted.size
  return isAnswer && len8 * 8 === VmpacketDescriptor.size + DmAccepted.size
}

/** The channel whose first data page from host to guest is `pfn`: its header before it, and the other ring before that. */
function readChannel(pfn: number, memory: OpenGuest['memory'], readable: PfnSet): RecoveredChannel | undefined {
  const header = pfn - 1
  const fromHost = readWhole(header, MAX_RING_FRAMES, memory, readable)
  if (!fromHost) return undefined
  let best: RecoveredChannel | undefined
  for (let frames = 1; frames <= MAX_RING_FRAMES; frames++) {
    const other = header - frames - 1
    const whole = readWhole(other, frames, memory, readable)
    if (whole?.[0] && isOffer(whole[0])) return { pfn: other, isWhole: true, fromGuest: whole, fromHost }
    const tail = readTail(other, frames, memory, readable)
    if (tail.length > (best?.fromGuest.length ?? 0)) best = { pfn: other, isWhole: false, fromGuest: tail, fromHost }
  }
  return best
}

function isOffer(message: Uint8Array): boolean {
  return DmHeader.read(message).type === DM_TYPE.VERSION_REQUEST && message.length === DmVersionRequest.size
}

/** Messages of the ring of at most `frames` data pages whose header is frame `header`; undefined when it has wrapped. */
function readWhole(
  header: number,
  frames: number,
  memory: OpenGuest['memory'],
  readable: PfnSet,
): Uint8Array[] | undefined {
  const indexes = readHeader(header, frames, memory, readable)
  if (!indexes || indexes.write_index === 0 || indexes.read_index > indexes.write_index) return undefined
  const count = Math.ceil(indexes.write_index / memory.frameBytes)
  const data = readFrames({ start: header + 1, count }, memory, readable)
  return data && ringMessages(data.subarray(0, indexes.write_index))
}

/** The last messages of a ring of exactly `frames` data pages; none when there is no such ring. */
function readTail(header: number, frames: number, memory: OpenGuest['memory'], readable: PfnSet): Uint8Array[] {
  const indexes = readHeader(header, frames, memory, readable)
  const data = indexes && readFrames({ start: header + 1, count: frames }, memory, readable)
  return data ? ringTail(data, indexes.write_index) : []
}

function readHeader(header: number, frames: number, memory: OpenGuest['memory'], readable: PfnSet) {
  const page = readFrames({ start: header, count: 1 }, memory, readable)
  if (!page) return undefined
  const found = HvRingBuffer.read(page)
  const size = frames * memory.frameBytes
  const isRing = [found.write_index, found.read_index].every((index) => index < size && index % 8 === 0)
  const isHeader = found.interrupt_mask <= 1 && page.subarray(HEADER_END).every((byte) => byte === 0)
  return isRing && isHeader ? found : undefined
}

function readFrames(range: PfnRange, memory: OpenGuest['memory'], readable: PfnSet): Uint8Array | undefined {
  if (range.start < 0 || readable.next(range.start, false, endOf(range)) !== endOf(range)) return undefined
  const bytes = new Uint8Array(range.count * memory.frameBytes)
  memory.read(range, bytes)
  return bytes
}
