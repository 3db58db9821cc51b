import { i32, i64, type Infer, new_utsname, struct, text, u32, u64 } from '@ullage/layout'

/** struct timeval of a 64-bit kernel. */
export const timeval = struct('timeval', 16, { tv_sec: i64, tv_usec: i64 })

/** First block of a kdump-compressed file. Ref: makedumpfile diskdump_mod.h, struct disk_dump_header. */
export const disk_dump_header = struct('disk_dump_header', 464, {
  signature: text(8),
  header_version: i32,
  utsname: new_utsname,
  timestamp: timeval,
  /** The page flag of the compression method, and the DUMP_DH_ bits below. */
  status: u32,
  block_size: i32,
  /** In blocks, with the notes that follow the sub header. */
  sub_hdr_size: i32,
  /** In blocks, both bitmaps together. */
  bitmap_blocks: u32,
  /** Obsolete: the low 32 bits' worth of max_mapnr_64. */
  max_mapnr: u32,
  total_ram_blocks: u32,
  device_blocks: u32,
  written_blocks: u32,
  current_cpu: u32,
  nr_cpus: i32,
})
export type DiskDumpHeader = Infer<typeof disk_dump_header>

/** Second block, followed by the ELF notes. Ref: makedumpfile diskdump_mod.h, struct kdump_sub_header. */
export const kdump_sub_header = struct('kdump_sub_header', 104, {
  phys_base: u64,
  /** Header version 1 and later. */
  dump_level: i32,
  /** Header version 2 and later. */
  split: i32,
  /** Header version 2 and later; obsolete since 6. */
  start_pfn: u64,
  end_pfn: u64,
  /** Header version 3 and later. Inside the notes: the text of the VMCOREINFO note. */
  offset_vmcoreinfo: i64,
  size_vmcoreinfo: u64,
  /** Header version 4 and later. */
  offset_note: i64,
  size_note: u64,
  /** Header version 5 and later. */
  offset_eraseinfo: i64,
  size_eraseinfo: u64,
  /** Header version 6 and later. */
  start_pfn_64: u64,
  end_pfn_64: u64,
  max_mapnr_64: u64,
})
export type KdumpSubHeader = Infer<typeof kdump_sub_header>

/** Descriptor of one page; one for each bit of bitmap 2. Ref: makedumpfile diskdump_mod.h, struct page_desc. */
export const page_desc = struct('page_desc', 24, { offset: i64, size: u32, flags: u32, page_flags: u64 })

export const KDUMP_SIGNATURE = 'KDUMP   '
/** The ancient format of the same family. */
export const DISKDUMP_SIGNATURE = 'DISKDUMP'
export const KDUMP_VERSION = 6
export const DISKDUMP_HEADER_BLOCKS = 1

/** In `status`: the dump was cut short by whoever wrote it. */
export const DUMP_DH_COMPRESSED_INCOMPLETE = 0x8

/**
 * Start of a flattened file, big-endian on every machine, followed by zeros up to MAX_SIZE_MDF_HEADER.
 * Ref: makedumpfile makedumpfile.h, struct makedumpfile_header.
 */
export const makedumpfile_header = struct('makedumpfile_header', 32, { signature: text(16), type: i64, version: i64 })
export const MAX_SIZE_MDF_HEADER = 4096
export const MAKEDUMPFILE_SIGNATURE = 'makedumpfile'
export const TYPE_FLAT_HEADER = 1n
export const VERSION_FLAT_HEADER = 1n

/** Before each record of a flattened file, big-endian. Ref: makedumpfile.h, struct makedumpfile_data_header. */
export const makedumpfile_data_header = struct('makedumpfile_data_header', 16, { offset: i64, buf_size: i64 })
/** Both fields of the record that ends a flattened file. */
export const END_FLAG_FLAT_HEADER = -1n
