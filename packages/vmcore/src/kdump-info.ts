import { toSafeNumber } from '@ullage/layout'
import { type ByteSource, readBytes } from './byte-source.ts'
import {
  DISKDUMP_HEADER_BLOCKS,
  type DiskDumpHeader,
  DUMP_DH_COMPRESSED_INCOMPLETE,
  disk_dump_header,
  type KdumpSubHeader,
  KDUMP_VERSION,
  kdump_sub_header,
} from './kdump-layout.ts'
import { countCpuNotes, findVmcoreinfo, readNotes, toText } from './notes-text.ts'
import { MAX_PAGE_BYTES, MIN_PAGE_BYTES } from './page-count.ts'
import type { VmcoreInfo } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'
import { compressions, pageFlags } from './vmcore-writer.ts'

/** Physical addresses have 52 bits at most on every machine handled here. */
export const MAX_PFN = 2 ** 40
/** A guest's VMCOREINFO is one page; QEMU refuses more than 1 MiB. */
const MAX_VMCOREINFO_BYTES = 1n << 20n
/** Little-endian machines whose dumps have the 64-bit layout. */
const machines: readonly string[] = ['x86_64', 'aarch64', 'riscv64', 'loongarch64', 'ppc64le']

/** Header of a kdump-compressed file, and where its tables stand, in bytes. */
export interface KdumpInfo extends Omit<VmcoreInfo, 'storedFrames' | 'flattened' | 'dataStart' | 'headersEnd'> {
  readonly bitmap1: number
  readonly bitmap2: number
  readonly descriptors: number
  /** End of what headers mention beyond the tables: notes, erase info. */
  readonly extrasEnd: number
}

/** Reads and checks header, sub header and notes. Throws VmcoreError. */
export async function readKdumpInfo(source: ByteSource): Promise<KdumpInfo> {
  const header = disk_dump_header.read(await readBytes(source, 0, disk_dump_header.size, 'disk_dump_header'))
  checkHeader(header)
  const block = header.block_size
  const sub = kdump_sub_header.read(await readBytes(source, block, kdump_sub_header.size, 'kdump_sub_header'))
  const version = header.header_version
  if (version >= 2 && sub.split !== 0) {
    throw new VmcoreError('UNSUPPORTED', 'one part of a split dump; join the parts first: makedumpfile --reassemble')
  }
  const maxPfn = checkedMaxPfn(version >= 6 ? sub.max_mapnr_64 : BigInt(header.max_mapnr))
  const tables = placeTables(header, maxPfn)

  const elfNotes = version >= 4 ? await readNotes(source, sub.offset_note, sub.size_note) : new Uint8Array(0)
  countCpuNotes(elfNotes)
  const extrasEnd = Math.max(
    version >= 4 ? endOf(sub.offset_note, sub.size_note, 'notes') : 0,
    version >= 5 ? endOf(sub.offset_eraseinfo, sub.size_eraseinfo, 'erase info') : 0,
  )
  const { machine, ...uname } = header.utsname
  return {
    format: 'kdump',
    machine,
    pageBytes: block,
    uname,
    timestamp: toDate(header.timestamp),
    dumpLevel: version >= 1 ? sub.dump_level : undefined,
    compression: compressions.find((name) => name !== 'none' && (header.status & pageFlags[name]) !== 0) ?? 'none',
    physBase: BigInt.asIntN(64, sub.phys_base),
    cpus: header.nr_cpus,
    maxPfn,
    elfNotes,
    vmcoreinfo: version >= 3 ? await readVmcoreinfo(source, sub, elfNotes) : undefined,
    incomplete: (header.status & DUMP_DH_COMPRESSED_INCOMPLETE) !== 0,
    ...tables,
    extrasEnd,
  }
}

function checkHeader(header: DiskDumpHeader): void {
  const { header_version: version, block_size: block } = header
  if (version < 0 || version > 0xff) {
    throw new VmcoreError(
      'UNSUPPORTED',
      `header version ${version}: a big-endian or broken dump, only little-endian is handled`,
    )
  }
  if (version < 1 || version > KDUMP_VERSION) {
    throw new VmcoreError('UNSUPPORTED', `header version ${version}, only 1 to ${KDUMP_VERSION} are handled`)
  }
  if (!machines.includes(header.utsname.machine)) {
    throw new VmcoreError(
      'UNSUPPORTED',
      `a dump of a ${JSON.stringify(header.utsname.machine)} machine, only ${machines.join(', ')} are handled`,
    )
  }
  if (block < MIN_PAGE_BYTES || block > MAX_PAGE_BYTES || Math.log2(block) % 1 !== 0) {
    throw new VmcoreError(
      'CORRUPT',
      `block_size is ${block}, not a power of two from ${MIN_PAGE_BYTES} to ${MAX_PAGE_BYTES}`,
    )
  }
  if (header.sub_hdr_size < 0) throw new VmcoreError('CORRUPT', `sub_hdr_size is ${header.sub_hdr_size}`)
}

function checkedMaxPfn(value: bigint): number {
  if (value > BigInt(MAX_PFN)) {
    throw new VmcoreError('CORRUPT', `max_mapnr is ${value}, no machine has more than ${MAX_PFN} frames`)
  }
  return Number(value)
}

/**
 * Readers tell by size alone whether there is a second bitmap. One bitmap alone means that all of memory is stored.
 * Ref: crash diskdump.c, dump_is_partial; libkdumpfile diskdump.c, read_bitmap.
 */
function placeTables(
  header: DiskDumpHeader,
  maxPfn: number,
): { bitmap1: number; bitmap2: number; descriptors: number } {
  const block = header.block_size
  const bitmap1 = (DISKDUMP_HEADER_BLOCKS + header.sub_hdr_size) * block
  const blocks = Math.ceil(Math.ceil(maxPfn / 8) / block)
  if (header.bitmap_blocks < blocks) {
    throw new VmcoreError(
      'CORRUPT',
      `bitmap_blocks is ${header.bitmap_blocks}, a bitmap of ${maxPfn} frames needs ${blocks} blocks of ${block} bytes`,
    )
  }
  const two = header.bitmap_blocks >= 2 * blocks
  return {
    bitmap1,
    bitmap2: two ? bitmap1 + Math.floor(header.bitmap_blocks / 2) * block : bitmap1,
    descriptors: bitmap1 + header.bitmap_blocks * block,
  }
}

async function readVmcoreinfo(
  source: ByteSource,
  sub: KdumpSubHeader,
  elfNotes: Uint8Array,
): Promise<string | undefined> {
  if (sub.size_vmcoreinfo === 0n || sub.offset_vmcoreinfo === 0n) return findVmcoreinfo(elfNotes)
  if (sub.size_vmcoreinfo > MAX_VMCOREINFO_BYTES) {
    throw new VmcoreError('CORRUPT', `size_vmcoreinfo is ${sub.size_vmcoreinfo}, more than ${MAX_VMCOREINFO_BYTES}`)
  }
  endOf(sub.offset_vmcoreinfo, sub.size_vmcoreinfo, 'VMCOREINFO')
  const size = Number(sub.size_vmcoreinfo)
  return toText(await readBytes(source, Number(sub.offset_vmcoreinfo), size, 'VMCOREINFO'))
}

function endOf(offset: bigint, size: bigint, what: string): number {
  if (size === 0n) return 0
  if (offset < 0n || offset + size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new VmcoreError('CORRUPT', `${what} of ${size} bytes cannot be at offset ${offset}`)
  }
  return toSafeNumber(offset + size, what)
}

function toDate({ tv_sec, tv_usec }: { tv_sec: bigint; tv_usec: bigint }): Date | undefined {
  const date = new Date(Number(tv_sec) * 1000 + Number(tv_usec) / 1000)
  return (tv_sec === 0n && tv_usec === 0n) || Number.isNaN(date.getTime()) ? undefined : date
}
