import { ELF_MAGIC } from '@ullage/layout'
import { type ByteSource, readBytes } from './byte-source.ts'
import { checkPage, type Decompress, decodePage, where } from './decompress.ts'
import { openElf } from './elf-reader.ts'
import { openFileSource } from './file-source.ts'
import { isFlattened, openFlattenedSource } from './flattened-source.ts'
import { DISKDUMP_SIGNATURE, KDUMP_SIGNATURE, makedumpfile_header } from './kdump-layout.ts'
import { openKdump } from './kdump-reader.ts'
import type { Vmcore, VmcoreTables } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'
import { asBuffer, isZeroPage } from './zero-page.ts'

export interface OpenVmcoreOptions {
  /** What pages can be decompressed with; raw pages need nothing. */
  readonly decompress?: Decompress
  readonly signal?: AbortSignal
}

/**
 * Opens a vmcore by path or by open descriptor, which stays open when the vmcore is disposed. Recognises
 * kdump-compressed, ELF, and flattened files around either. Reads headers and tables, no page.
 *
 * Throws VmcoreError: NOT_A_VMCORE for a file of another kind, other codes for a vmcore that cannot be read.
 */
export async function openVmcore(file: string | number, options: OpenVmcoreOptions = {}): Promise<Vmcore> {
  const source = await openFileSource(file)
  try {
    return withPages(await openTables(source, false, options.signal), options.decompress ?? {})
  } catch (error) {
    await source[Symbol.asyncDispose]()
    throw error
  }
}

async function openTables(
  source: ByteSource,
  flattened: boolean,
  signal: AbortSignal | undefined,
): Promise<VmcoreTables> {
  const start = new Uint8Array(makedumpfile_header.size)
  const there = start.subarray(0, Math.min(start.length, source.sizeBytes))
  await source.read(there, 0, 'the start of the file')
  const signature = String.fromCharCode(...start.subarray(0, 8))
  if (signature === KDUMP_SIGNATURE) return await openKdump(source, flattened, signal)
  if (new DataView(start.buffer).getUint32(0, true) === ELF_MAGIC) return await openElf(source, flattened, signal)
  if (!flattened && isFlattened(start)) {
    return await openTables(await openFlattenedSource(source, signal), true, signal)
  }
  if (signature === DISKDUMP_SIGNATURE) {
    throw new VmcoreError('UNSUPPORTED', 'a diskdump file of Linux 2.4; only kdump-compressed files are handled')
  }
  throw new VmcoreError(
    'NOT_A_VMCORE',
    there.length === 0
      ? 'expected a vmcore, found an empty file'
      : `expected a kdump-compressed, flattened or ELF vmcore, found a file that starts with ${hex(there)}`,
  )
}

function withPages(tables: VmcoreTables, decompress: Decompress): Vmcore {
  const { pageBytes } = tables.info
  return {
    ...tables,
    decompress,
    [Symbol.asyncDispose]: async () => await tables.bytes[Symbol.asyncDispose](),
    async readPage(pfn, into) {
      if (into.length !== pageBytes)
        throw new RangeError(`a page has ${pageBytes} bytes, found room for ${into.length}`)
      const page = await tables.locate(pfn)
      checkPage(page, pageBytes)
      const stored = await readBytes(tables.bytes, page.position, page.size, `data of ${where(page)}`)
      decodePage(page, stored, 0, into, pageBytes, decompress)
      return isZeroPage(asBuffer(into), 0, pageBytes) ? 'zero' : 'data'
    },
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 8)).toString('hex')
}
