import type { Decompress } from './decompress.ts'
import type { PageChecker } from './page-checker.ts'
import type { PageFindings } from './page-verifier.ts'
import { reportBadPage } from './report-bad-page.ts'
import type { StoredPages, Vmcore } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'
import { type Compression, compressions } from './vmcore-writer.ts'

/** What all pages of a vmcore are. */
export interface PageTotals {
  readonly pages: number
  readonly zeroPages: number
  readonly byCompression: Readonly<Record<Compression, number>>
  /** Where in the file the first page starts; undefined when there is none. */
  readonly lowest: number | undefined
  /** Where the last one ends; 0 when there is none. */
  readonly end: number
}

interface Pending {
  readonly pages: StoredPages
  readonly findings: Promise<PageFindings>
}

/**
 * Has `checker` check every page, some tables at a time, and adds up what it finds in the order of the frames. Throws
 * VmcoreError naming the first bad frame. When it settles, `checker` has nothing left to do.
 */
export async function checkPages(
  vmcore: Vmcore,
  checker: PageChecker,
  options: {
    decompress: Decompress
    onProgress?: ((pages: number, totalPages: number) => void) | undefined
    signal?: AbortSignal | undefined
  },
): Promise<PageTotals> {
  const { info } = vmcore
  const { signal, onProgress } = options
  const byCompression: Record<Compression, number> = { zstd: 0, lzo: 0, snappy: 0, zlib: 0, none: 0 }
  const pending: Pending[] = []
  let pages = 0
  let zeroPages = 0
  let lowest = Number.POSITIVE_INFINITY
  let end = 0

  const takeOldest = async (): Promise<void> => {
    const oldest = pending[0] as Pending
    const found = await oldest.findings
    pending.shift()
    if (found.bad) {
      const page = pageAt(oldest.pages, found.bad.index)
      await reportBadPage(vmcore, page, found.bad.reason, options.decompress)
    }
    compressions.forEach((name, index) => {
      byCompression[name] += found.byCompression[index] as number
    })
    pages += oldest.pages.count
    zeroPages += found.zeroPages
    lowest = Math.min(lowest, found.lowest)
    end = Math.max(end, found.end)
    signal?.throwIfAborted()
    onProgress?.(pages, info.storedFrames)
  }

  try {
    for await (const table of vmcore.storedPages(signal ? { signal } : {})) {
      const findings = checker.check(table)
      // A failure is thrown where it is awaited, if an earlier one does not come first.
      findings.catch(() => undefined)
      pending.push({ pages: table, findings })
      if (pending.length >= checker.width) await takeOldest()
    }
    while (pending.length > 0) await takeOldest()
    await checker.finish()
  } finally {
    await Promise.allSettled(pending.map(({ findings }) => findings))
  }
  if (pages !== info.storedFrames) {
    throw new VmcoreError('CORRUPT', `${info.storedFrames} frames are stored, ${pages} were found`)
  }
  return { pages, zeroPages, byCompression, lowest: pages > 0 ? lowest : undefined, end }
}

function pageAt({ pfns, positions, sizes, flags }: StoredPages, index: number) {
  return {
    pfn: pfns[index] as number,
    position: positions[index] as number,
    size: sizes[index] as number,
    flags: flags[index] as number,
  }
}
