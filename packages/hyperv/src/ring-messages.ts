import { DmHeader } from './dm-layout.ts'
import { PACKET_TRAILER_BYTES, VM_PKT_DATA_INBAND, VmpacketDescriptor } from './vmbus-layout.ts'

/**
 * The messages in the data of a ring that has not wrapped: packets from its start that end exactly at `data.length`, the
 * write index. Undefined when that is not what `data` holds. Takes at most one step for each 32 bytes.
 */
export function ringMessages(data: Uint8Array): Uint8Array[] | undefined {
  const messages: Uint8Array[] = []
  let at = 0
  while (at < data.length) {
    const packet = packetIn(data.subarray(at))
    if (!packet) return undefined
    messages.push(packet.message)
    at += packet.bytes
  }
  return messages
}

/**
 * The last messages in the data of a ring that may have wrapped, oldest first: packets followed back from `writeIndex` by
 * the trailer that says where each began, as far as they are whole. Takes at most one step for each 32 bytes.
 */
export function ringTail(data: Uint8Array, writeIndex: number): Uint8Array[] {
  const messages: Uint8Array[] = []
  // Twice in a row, so that no packet is cut at the end of the ring.
  const twice = new Uint8Array(2 * data.length)
  twice.set(data)
  twice.set(data, data.length)
  const view = new DataView(twice.buffer)
  let end = writeIndex + data.length
  const oldest = writeIndex
  while (end - PACKET_TRAILER_BYTES > oldest) {
    const isTrailer = view.getUint32(end - PACKET_TRAILER_BYTES, true) === 0
    const began = view.getUint32(end - PACKET_TRAILER_BYTES + 4, true)
    const bytes = (((end - began) % data.length) + data.length) % data.length
    if (!isTrailer || began >= data.length || end - bytes < oldest) break
    const packet = packetIn(twice.subarray(end - bytes, end))
    if (!packet || packet.bytes !== bytes) break
    messages.push(packet.message)
    end -= bytes
  }
  return messages.reverse()
}

/** The packet that `data` begins with: its message, and how many bytes it takes with its trailer. */
function packetIn(data: Uint8Array): { message: Uint8Array; bytes: number } | undefined {
  if (data.length < VmpacketDescriptor.size) return undefined
  const { type, offset8, len8 } = VmpacketDescriptor.read(data)
  const bytes = len8 * 8 + PACKET_TRAILER_BYTES
  const payload = data.subarray(VmpacketDescriptor.size, len8 * 8)
  const isPacket = type === VM_PKT_DATA_INBAND && offset8 * 8 === VmpacketDescriptor.size
  if (!isPacket || payload.length < DmHeader.size || bytes > data.length) return undefined
  const { size } = DmHeader.read(payload)
  return size < DmHeader.size || size > payload.length ? undefined : { message: payload.slice(0, size), bytes }
}
