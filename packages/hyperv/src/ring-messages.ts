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
    if (data.length - at < VmpacketDescriptor.size) return undefined
    const { type, offset8, len8 } = VmpacketDescriptor.read(data, at)
    const payload = data.subarray(at + VmpacketDescriptor.size, at + len8 * 8)
    const isPacket = type === VM_PKT_DATA_INBAND && offset8 * 8 === VmpacketDescriptor.size
    if (!isPacket || payload.length < DmHeader.size || at + len8 * 8 + PACKET_TRAILER_BYTES > data.length)
      return undefined
    const { size } = DmHeader.read(payload)
    if (size < DmHeader.size || size > payload.length) return undefined
    messages.push(payload.slice(0, size))
    at += len8 * 8 + PACKET_TRAILER_BYTES
  }
  return messages
}
