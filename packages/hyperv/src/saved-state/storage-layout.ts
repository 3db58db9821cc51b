import { array, bytes, struct, u16, u32, u64, u8 } from '@ullage/layout'

/**
 * Structures of the container HyperVStorage, which Hyper-V uses for .vmcx and .vmrs alike, all little-endian and packed.
 * Names and offsets: microsoft/openvmm support/hvs_file/FORMAT.md; what of it a file of Hyper-V's own bears out is in the
 * README.
 */
const packed = { packed: true } as const

export const HEADER_SIGNATURE = 0x0128_2014
export const OBJECT_TABLE_SIGNATURE = 0x0111_0001
export const REPLAY_LOG_SIGNATURE = 0x0111_0003
export const KEY_TABLE_SIGNATURE = 2

/** The one version of the format that is read: (major << 8) | minor. */
export const FORMAT_VERSION = 0x0400

/** Where the two copies of the header are, and the first object table. */
export const HEADER_OFFSETS = [0, 0x1000] as const
export const OBJECT_TABLE_OFFSET = 0x2000

export const FileHeader = struct(
  'HyperVStorage header',
  46,
  {
    signature: u32,
    checksum: u32,
    sequence: u16,
    formatVersion: u32,
    dataVersion: u32,
    flags: u32,
    dataAlignment: u32,
    replayLogOffset: u64,
    replayLogSize: u64,
    replayLogHeaderSize: u32,
  },
  packed,
)

export const ReplayLogHeader = struct(
  'replay log header',
  34,
  {
    signature: u32,
    checksum: u32,
    entries: u32,
    reserved: u8,
    maximumEntries: u32,
    changeTrackingEnabled: u8,
    changeTrackingOffset: u64,
    changeTrackingSize: u32,
    changeTrackingUsed: u32,
  },
  packed,
)

/** Order of the fields: dissect.hypervisor c_hyperv.py. FORMAT.md's crate has the checksum first, which no file bears out. */
export const ReplayLogEntry = struct(
  'replay log entry',
  28,
  { destination: u64, size: u32, offsetInLog: u64, checksum: u32, dataChecksum: u32 },
  packed,
)

export const ObjectTableHeader = struct('object table header', 8, { signature: u32, entries: u32 }, packed)

export const ObjectTableEntry = struct(
  'object table entry',
  18,
  { type: u8, checksum: u32, offset: u64, size: u32, flags: u8 },
  packed,
)

export const ObjectType = { empty: 0, objectTable: 1, keyTable: 2, fileObject: 3, free: 4, replayLog: 6 } as const

export const KeyTableHeader = struct(
  'key table header',
  10,
  { signature: u16, index: u16, sequence: u16, checksum: u32 },
  packed,
)

export const KeyEntryHeader = struct(
  'key table entry',
  21,
  {
    type: u8,
    flags: u8,
    size: u32,
    parentTable: u16,
    parentOffset: u32,
    checksum: u32,
    insertionSequence: u32,
    /** Its final NUL included. */
    nameSize: u8,
  },
  packed,
)

export const KeyType = { free: 1, int: 3, uint: 4, double: 5, string: 6, array: 7, bool: 8, node: 9 } as const

/** In the flags of a key: its value stands elsewhere in the file. */
export const POINTS_TO_FILE_OBJECT = 1

/** What stands in a key in place of a value of 2048 bytes or more. */
export const FileObjectPointer = struct('file object pointer', 12, { size: u32, offset: u64 }, packed)

/** Value of `/savedstate/RamMemoryBlock%d`: one contiguous range of guest RAM. `KsrBlockId` follows where there are 48 bytes. */
export const MemoryBlock = struct('memory block', 40, {
  version: u32,
  flags: u32,
  pageCountTotal: u64,
  mbpIndexStart: u64,
  gpaIndexStart: u64,
  virtualNode: u32,
  padding: u32,
})

/** At the start of the partition state. */
export const SavedStateDescriptor = struct('saved state descriptor', 24, {
  descriptorSize: u64,
  headerSize: u64,
  totalSize: u64,
})

export const ChunkHeader = struct('partition state chunk', 16, { id: u32, size: u32, padding: bytes(8) })

/** Chunks of the partition state that are read (microsoft/openvmm vm/hv1/hvdef/src/save_restore.rs). */
export const Chunk = {
  prolog: 0,
  vp: 0x3000_1000,
  generalRegisters: 0x3000_5000,
  controlRegisters: 0x3000_7000,
  segmentRegisters: 0x3000_9000,
  tableRegisters: 0x3000_a000,
  virtualMsrs: 0x3000_b000,
  vpVtl: 0x3001_a000,
  epilog: 0xf000_0000,
} as const

/** Of the prolog: the processor's maker. */
export const PROLOG_VENDOR_OFFSET = 8
export const VENDOR_ARM = 0x10

/** rax rcx rdx rbx rsp rbp rsi rdi r8 … r15 rip rflags. */
export const GeneralRegisters = struct('general registers', 144, { values: array(u64, 18) })

/** cr0 cr2 cr3 cr4 cr8 efer. */
export const ControlRegisters = struct('control registers', 48, { values: array(u64, 6) })

const SegmentRegister = struct('segment register', 16, { base: u64, limit: u32, selector: u16, attributes: u16 })

/** es cs ss ds fs gs ldtr tr, then the privilege level. */
export const SegmentRegisters = struct('segment registers', 144, { values: array(SegmentRegister, 8), rest: bytes(16) })

const TableRegister = struct('table register', 16, { padding: bytes(6), limit: u16, base: u64 })
export const TableRegisters = struct('table registers', 32, { idtr: TableRegister, gdtr: TableRegister })

/** Of the virtual MSRs: the base that swapgs would bring (Pascal Beyer's parser of .vmrs; no second source). */
export const VirtualMsrs = struct('virtual msrs', 96, { values: array(u64, 12) })
export const MSR_KERNEL_GS_BASE = 1
