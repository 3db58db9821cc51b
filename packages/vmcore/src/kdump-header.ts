import { findElfNote } from '@ullage/layout'
import {
  DISKDUMP_HEADER_BLOCKS,
  disk_dump_header,
  KDUMP_SIGNATURE,
  KDUMP_VERSION,
  kdump_sub_header,
  page_desc,
} from './kdump-layout.ts'
import { pageFlags, type VmcoreHeader } from './vmcore-writer.ts'

/** Where the parts of a kdump-compressed file stand, in bytes. */
export interface KdumpPlan {
  readonly subHeaderBlocks: number
  /** Size of one of the two bitmaps. */
  readonly bitmapBytes: number
  readonly bitmap1: number
  readonly bitmap2: number
  readonly descriptors: number
  readonly data: number
}

/** Lays out a file for `storedCount` pages of guest memory that ends below `maxPfn`. */
export function planKdump(header: VmcoreHeader, maxPfn: number, storedCount: number): KdumpPlan {
  const block = header.pageBytes
  const subHeaderBlocks = Math.ceil((kdump_sub_header.size + header.elfNotes.length) / block)
  const bitmapBytes = Math.ceil(Math.ceil(maxPfn / 8) / block) * block
  const bitmap1 = (DISKDUMP_HEADER_BLOCKS + subHeaderBlocks) * block
  const bitmap2 = bitmap1 + bitmapBytes
  const descriptors = bitmap2 + bitmapBytes
  return {
    subHeaderBlocks,
    bitmapBytes,
    bitmap1,
    bitmap2,
    descriptors,
    data: descriptors + storedCount * page_desc.size,
  }
}

/** All blocks before the bitmaps: header, sub header, notes. Throws LayoutError when the notes are not ELF notes. */
export function encodeKdumpHeader(header: VmcoreHeader, plan: KdumpPlan, maxPfn: number): Uint8Array {
  const block = header.pageBytes
  const bytes = new Uint8Array(plan.bitmap1)
  const milliseconds = header.timestamp.getTime()
  disk_dump_header.write(bytes, 0, {
    signature: '',
    header_version: KDUMP_VERSION,
    utsname: { ...header.uname, machine: header.machine },
    timestamp: {
      tv_sec: BigInt(Math.floor(milliseconds / 1000)),
      tv_usec: BigInt((((milliseconds % 1000) + 1000) % 1000) * 1000),
    },
    status: pageFlags[header.compression],
    block_size: block,
    sub_hdr_size: plan.subHeaderBlocks,
    bitmap_blocks: (2 * plan.bitmapBytes) / block,
    max_mapnr: Math.min(maxPfn, 0xffff_ffff),
    total_ram_blocks: 0,
    device_blocks: 0,
    written_blocks: 0,
    current_cpu: 0,
    nr_cpus: header.cpus,
  })
  // The signature fills its field, without the NUL that `text` keeps room for.
  bytes.set(new TextEncoder().encode(KDUMP_SIGNATURE))

  const notes = block + kdump_sub_header.size
  const vmcoreinfo = findElfNote(header.elfNotes, 'VMCOREINFO')
  kdump_sub_header.write(bytes, block, {
    phys_base: BigInt.asUintN(64, header.physBase),
    dump_level: header.dumpLevel,
    split: 0,
    start_pfn: 0n,
    end_pfn: 0n,
    offset_vmcoreinfo: vmcoreinfo ? BigInt(notes + vmcoreinfo.descPosition) : 0n,
    size_vmcoreinfo: BigInt(vmcoreinfo?.desc.length ?? 0),
    offset_note: header.elfNotes.length > 0 ? BigInt(notes) : 0n,
    size_note: BigInt(header.elfNotes.length),
    offset_eraseinfo: 0n,
    size_eraseinfo: 0n,
    start_pfn_64: 0n,
    end_pfn_64: 0n,
    max_mapnr_64: BigInt(maxPfn),
  })
  bytes.set(header.elfNotes, notes)
  return bytes
}
