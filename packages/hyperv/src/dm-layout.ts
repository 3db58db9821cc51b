import { struct, u16, u32, u64 } from '@ullage/layout'

/**
 * Messages of the Dynamic Memory protocol, versions 0.3, 1.0 and 2.0 (Linux drivers/hv/hv_balloon.c; for version 2.0 QEMU
 * include/hw/hyperv/dynmem-proto.h). Little-endian, packed. Ranges of frames follow some of them, as u64 each.
 */
export const DM_TYPE = {
  ERROR: 0,
  VERSION_REQUEST: 1,
  VERSION_RESPONSE: 2,
  CAPABILITIES_REPORT: 3,
  CAPABILITIES_RESPONSE: 4,
  STATUS_REPORT: 5,
  BALLOON_REQUEST: 6,
  BALLOON_RESPONSE: 7,
  UNBALLOON_REQUEST: 8,
  UNBALLOON_RESPONSE: 9,
  MEM_HOT_ADD_REQUEST: 10,
  MEM_HOT_ADD_RESPONSE: 11,
  INFO_MESSAGE: 12,
  MEM_HOT_REMOVE_REQUEST: 13,
  MEM_HOT_REMOVE_RESPONSE: 14,
} as const

/** Bytes of `union dm_mem_page_range`: bits 0-39 first frame, bits 40-63 number of frames. */
export const PAGE_RANGE_BYTES = 8

/** `size` counts the header too. `trans_id` is the sender's own counter: an answer does not repeat its request's. */
const header = { type: u16, size: u16, trans_id: u32 } as const

export const DmHeader = struct('dm_header', 8, header, { packed: true })

export const DmVersionRequest = struct(
  'dm_version_request',
  16,
  { ...header, minor_version: u16, major_version: u16, /** Bit 0. */ is_last_attempt: u32 },
  { packed: true },
)

/** Of VERSION_RESPONSE (bit 0 accepted) and CAPABILITIES_RESPONSE (bit 1 hot remove, bit 2 no pressure reports, too). */
export const DmAccepted = struct('dm_version_response', 16, { ...header, flags: u64 }, { packed: true })

export const DmCapabilities = struct(
  'dm_capabilities',
  32,
  { ...header, caps: u64, min_page_cnt: u64, max_page_number: u64 },
  { packed: true },
)

export const DmStatus = struct(
  'dm_status',
  48,
  {
    ...header,
    num_avail: u64,
    num_committed: u64,
    page_file_size: u64,
    zero_free: u64,
    page_file_writes: u32,
    io_diff: u32,
  },
  { packed: true },
)

export const DmBalloon = struct('dm_balloon', 16, { ...header, num_pages: u32, reservedz: u32 }, { packed: true })

/** Here bit 0 of the second word is more_pages, and its other 31 bits count the ranges; see `DmUnballoonRequest`. */
export const DmBalloonResponse = struct(
  'dm_balloon_response',
  16,
  { ...header, reservedz: u32, more_and_count: u32 },
  { packed: true },
)

/** Here more_pages is bit 0 of the first word, and the second word counts the ranges: see `DmBalloonResponse`. */
export const DmUnballoonRequest = struct(
  'dm_unballoon_request',
  16,
  { ...header, more: u32, range_count: u32 },
  { packed: true },
)

/** Followed, where the host sets a region aside, by the range of that region. */
export const DmHotAdd = struct('dm_hot_add', 16, { ...header, range: u64 }, { packed: true })

export const DmHotAddResponse = struct(
  'dm_hot_add_response',
  16,
  { ...header, page_count: u32, result: u32 },
  { packed: true },
)

export const DmInfo = struct('dm_info_msg', 16, { ...header, reserved: u32, info_size: u32 }, { packed: true })

/** What DM_INFO_MESSAGE carries; type 0 is the most pages the guest may ever get, as a u64. */
export const DmInfoHeader = struct('dm_info_header', 8, { type: u32, data_size: u32 }, { packed: true })
export const INFO_TYPE_MAX_PAGE_CNT = 0

export const DmHotRemove = struct(
  'dm_hot_remove',
  24,
  { ...header, virtual_node: u32, page_count: u32, qos_flags: u32, reservedZ: u32 },
  { packed: true },
)

export const DmHotRemoveResponse = struct(
  'dm_hot_remove_response',
  24,
  { ...header, result: u32, range_count: u32, /** Bit 0. */ more: u64 },
  { packed: true },
)
