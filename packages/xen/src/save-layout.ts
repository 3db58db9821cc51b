import { array, bytes, struct, u8, u16, u32, u64 } from '@ullage/layout'

/** First bytes of an image of `xl save` (Xen tools/xl/xl.h). */
export const XL_MAGIC = 'Xen saved domain, xl format\n \0 \r'

/** Header of xl, in the byte order of the host that wrote it. */
export const SaveFileHeader = struct('save_file_header', 48, {
  magic: bytes(32),
  byteorder: u32,
  mandatory_flags: u32,
  optional_flags: u32,
  optional_data_len: u32,
})

export const SAVEFILE_BYTEORDER_VALUE = 0x0102_0304
/** The configuration is JSON. */
export const XL_MANDATORY_FLAG_JSON = 1 << 0
/** What follows is a stream of libxl's. Without it: the format of Xen 4.5 and before. */
export const XL_MANDATORY_FLAG_STREAMV2 = 1 << 1

/** Header of libxl's stream, always big-endian (Xen docs/specs/libxl-migration-stream.pandoc). */
export const LibxlHeader = struct('libxl__sr_hdr', 16, { ident: u64, version: u32, options: u32 })

/** `LibxlFmt`. */
export const LIBXL_IDENT = 0x4c69_6278_6c46_6d74n
export const LIBXL_VERSION = 2
export const LIBXL_OPT_BIG_ENDIAN = 1 << 0
export const LIBXL_OPT_LEGACY = 1 << 1

/** Types of libxl's records. */
export const LIBXL_REC = {
  end: 0,
  libxcContext: 1,
  emulatorXenstoreData: 2,
  emulatorContext: 3,
  checkpointEnd: 4,
  checkpointState: 5,
} as const

/** Header of every record of both streams; the body is padded to 8 bytes. */
export const RecordHeader = struct('record', 8, { type: u32, length: u32 })

/** Set in the type of records that a reader may skip when it does not know them. */
export const REC_OPTIONAL = 0x8000_0000

/** Header of libxc's stream, always big-endian (Xen docs/specs/libxc-migration-stream.pandoc). */
export const ImageHeader = struct('xc_sr_ihdr', 24, {
  marker: u64,
  id: u32,
  version: u32,
  options: u16,
  reserved: bytes(6),
})

export const IMAGE_MARKER = 0xffff_ffff_ffff_ffffn
/** `XENF`. */
export const IMAGE_ID = 0x5845_4e46
/** Version 3 is version 2 with a mark where static data ends. */
export const IMAGE_VERSIONS: readonly number[] = [2, 3]
export const IMAGE_OPT_BIG_ENDIAN = 1 << 0

export const DomainHeader = struct('xc_sr_dhdr', 16, {
  type: u32,
  page_shift: u16,
  reserved: u16,
  xen_major: u32,
  xen_minor: u32,
})

export const DOMAIN_X86_PV = 1
export const DOMAIN_X86_HVM = 2

/** Types of libxc's records. */
export const REC = {
  end: 0,
  pageData: 1,
  pvInfo: 2,
  pvP2mFrames: 3,
  pvVcpuBasic: 4,
  pvVcpuExtended: 5,
  pvVcpuXsave: 6,
  sharedInfo: 7,
  tscInfo: 8,
  hvmContext: 9,
  hvmParams: 10,
  toolstack: 11,
  pvVcpuMsrs: 12,
  verify: 13,
  checkpoint: 14,
  checkpointDirtyPfnList: 15,
  staticDataEnd: 16,
  cpuidPolicy: 17,
  msrPolicy: 18,
} as const

/** libxc refuses longer records (REC_LENGTH_MAX). */
export const MAX_RECORD_BYTES = 128 * 1024 * 1024

/** Bytes before the frame numbers of PAGE_DATA: their count, and four that mean nothing. */
export const PAGE_DATA_HEADER_BYTES = 8
/** In the high half of an entry of PAGE_DATA: bits of the frame number above 2^32, and where the type stands. */
export const PAGE_DATA_PFN_HIGH_MASK = 0x000f_ffff
export const PAGE_DATA_TYPE_SHIFT = 28

/** XEN_DOMCTL_PFINFO_BROKEN, XALLOC; the third, 15, is XTAB: from the first on there is no page in the stream. */
export const PAGE_BROKEN = 0xd
export const PAGE_XALLOC = 0xe

/** Types 5 to 8 do not exist. 0: an ordinary page; 1 to 4: page tables of a PV guest; with 8: pinned ones. */
export function isKnownPageType(type: number): boolean {
  return type < 5 || type > 8
}

export const PvInfo = struct('xc_sr_rec_x86_pv_info', 8, { guest_width: u8, pt_levels: u8, reserved: bytes(6) })

export const P2mFrames = struct('xc_sr_rec_x86_pv_p2m_frames', 8, { start_pfn: u32, end_pfn: u32 })

export const VcpuHeader = struct('xc_sr_rec_x86_pv_vcpu_hdr', 8, { vcpu_id: u32, reserved: u32 })

/** Before each part of an HVM context; the last has type 0 (Xen xen/include/public/hvm/save.h). */
export const HvmSaveDescriptor = struct('hvm_save_descriptor', 8, { typecode: u16, instance: u16, length: u32 })

export const HVM_SAVE_END = 0
export const HVM_SAVE_HEADER = 1
export const HVM_SAVE_CPU = 2

/** First word of the part of type 1. */
export const HVM_FILE_MAGIC = 0x5438_1286

/**
 * The beginning of `struct hvm_hw_cpu`, which is the same in every version (Xen xen/include/public/arch-x86/hvm/save.h):
 * later versions have more at the end.
 */
export const HvmCpu = struct('hvm_hw_cpu', 952, {
  fpu_regs: bytes(512),
  /** rax rbx rcx rdx rbp rsi rdi rsp r8 … r15. */
  general: array(u64, 16),
  rip: u64,
  rflags: u64,
  cr0: u64,
  cr2: u64,
  cr3: u64,
  cr4: u64,
  debug: array(u64, 6),
  /** cs ds es fs gs ss tr ldtr. */
  selectors: array(u32, 8),
  /** cs ds es fs gs ss tr ldtr idtr gdtr. */
  limits: array(u32, 10),
  /** cs ds es fs gs ss tr ldtr idtr gdtr. */
  bases: array(u64, 10),
  /** cs ds es fs gs ss tr ldtr: bits 0-7 type, s, dpl, p; 8-11 avl, l, db, g. */
  arbytes: array(u32, 8),
  sysenter: array(u64, 3),
  shadow_gs: u64,
})
