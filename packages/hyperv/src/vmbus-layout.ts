import { struct, u16, u32, u64 } from '@ullage/layout'

/** First page of a VMBus ring buffer; data pages follow (Linux include/linux/hyperv.h). Offsets count bytes of data. */
export const HvRingBuffer = struct('hv_ring_buffer', 16, {
  write_index: u32,
  read_index: u32,
  interrupt_mask: u32,
  pending_send_sz: u32,
})

/** `offset8` and `len8` count 8 bytes, from the start of the descriptor. */
export const VmpacketDescriptor = struct('vmpacket_descriptor', 16, {
  type: u16,
  offset8: u16,
  len8: u16,
  flags: u16,
  trans_id: u64,
})

/** VM_PKT_DATA_INBAND: the data follows the descriptor. */
export const VM_PKT_DATA_INBAND = 6

/** Behind each packet: where it began, shifted by 32; a host may leave it zero. */
export const PACKET_TRAILER_BYTES = 8
