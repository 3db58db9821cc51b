import { VmcoreError } from './vmcore-error.ts'
import { type Compression, pageFlags } from './vmcore-writer.ts'

/**
 * Decompresses one page into at most `targetLength` bytes of `target` and returns how many it has. Throws, whatever it
 * likes, for data that is broken or longer, and an error with the code `LIBRARY_MISSING` when it cannot work here at all;
 * it must not write outside its part of `target`.
 */
export type Decompressor = (
  source: Uint8Array,
  sourceOffset: number,
  sourceLength: number,
  target: Uint8Array,
  targetOffset: number,
  targetLength: number,
) => number

/** What pages can be decompressed with. A page that needs a missing one is UNSUPPORTED. */
export type Decompress = { readonly [C in Exclude<Compression, 'none'>]?: Decompressor | undefined }

/** Opens what the thread that calls can decompress with. */
export type OpenDecompress = () => Decompress & Disposable

const byFlags: ReadonlyMap<number, Compression> = new Map(
  Object.entries(pageFlags).map(([name, flags]) => [flags, name as Compression]),
)

/** The compression that `page_desc.flags` name, or undefined when they name none or several. */
export function compressionOf(flags: number): Compression | undefined {
  return byFlags.get(flags)
}

/** Where a page stands, for errors. */
export interface PageLocation {
  readonly pfn: number
  /** Of its data, in bytes; in the plain file when the vmcore is flattened. */
  readonly position: number
  readonly size: number
  readonly flags: number
}

/** Throws VmcoreError unless size and flags are such as a page of `pageBytes` can have. */
export function checkPage(page: PageLocation, pageBytes: number): Compression {
  const compression = compressionOf(page.flags)
  if (compression === undefined) {
    throw new VmcoreError(
      'UNSUPPORTED',
      `${where(page)} has flags 0x${page.flags.toString(16)}, which name no one method`,
    )
  }
  if (page.size === 0 || page.size > pageBytes || (compression === 'none' && page.size !== pageBytes)) {
    throw new VmcoreError('CORRUPT', `${where(page)} has ${page.size} bytes (${compression}), a page has ${pageBytes}`)
  }
  return compression
}

/**
 * Turns the stored bytes of `page` at `sourceOffset` into a page at the start of `into`.
 * Throws VmcoreError naming frame and file offset; CORRUPT when the result is not exactly one page.
 */
export function decodePage(
  page: PageLocation,
  source: Uint8Array,
  sourceOffset: number,
  into: Uint8Array,
  pageBytes: number,
  decompress: Decompress,
): void {
  const compression = checkPage(page, pageBytes)
  if (compression === 'none') {
    into.set(source.subarray(sourceOffset, sourceOffset + pageBytes))
    return
  }
  const decompressor = decompress[compression]
  if (!decompressor)
    throw new VmcoreError('UNSUPPORTED', `${where(page)} is compressed with ${compression}, which is not at hand`)
  let length: number
  try {
    length = decompressor(source, sourceOffset, page.size, into, 0, pageBytes)
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    if (cause instanceof Error && 'code' in cause && cause.code === 'LIBRARY_MISSING') {
      throw new VmcoreError('UNSUPPORTED', `${where(page)} is compressed with ${compression}: ${text}`, { cause })
    }
    throw new VmcoreError('CORRUPT', `${where(page)} does not decompress (${compression}): ${text}`, { cause })
  }
  if (length !== pageBytes) {
    throw new VmcoreError(
      'CORRUPT',
      `${where(page)} decompresses to ${length} bytes (${compression}), a page has ${pageBytes}`,
    )
  }
}

/** `pfn 0x1f3 at offset 8192`. */
export function where(page: PageLocation): string {
  return `pfn 0x${page.pfn.toString(16)} at offset ${page.position}`
}
