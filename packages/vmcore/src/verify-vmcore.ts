import { checkDataStart } from './check-data-start.ts'
import { checkPages, type PageTotals } from './check-pages.ts'
import type { Decompress } from './decompress.ts'
import { PageCheckThread } from './page-check-thread.ts'
import { type CheckedFile, checkHere, type OpenPageChecker, type PageChecker } from './page-checker.ts'
import { PageVerifier } from './page-verifier.ts'
import { shareTables } from './share-tables.ts'
import type { Vmcore } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'
import type { Compression } from './vmcore-writer.ts'

/** Bytes of page data in the file for which a thread is worth its start, which costs as much as checking a fifth of them. */
const BYTES_EACH = 96 << 20
const MAX_JOBS = 256

/** Threads to check pages in. */
export interface VerifyThreads {
  /** At most so many, 1 to 256, the thread that asks among them; it alone for what is too small for two. */
  readonly jobs: number
  /** What each of them runs: a module that calls `answerChecks`. */
  readonly module: URL
  /** Bytes of page data in the file for each thread, at least: 96 MiB unless it says otherwise. */
  readonly bytesEach?: number
}

export interface VerifyOptions {
  /** What this thread decompresses pages with, and names bad ones by; by default what the vmcore was opened with. */
  readonly decompress?: Decompress
  /** Without, all pages are checked in this thread, which has a turn for other work after some thousand. */
  readonly threads?: VerifyThreads
  /** Checks pages in threads that the caller has already; then `threads` start none. */
  readonly checker?: OpenPageChecker
  /** Told after each lot of pages: how many are done, of how many. */
  readonly onProgress?: (pages: number, totalPages: number) => void
  readonly signal?: AbortSignal
}

export interface VerifySummary {
  /** Frames that have a descriptor, or are covered by a segment. */
  readonly pages: number
  /** Those whose content is zeros. */
  readonly zeroPages: number
  /** Frames of guest memory that were left out. */
  readonly excludedFrames: number
  readonly byCompression: Readonly<Record<Compression, number>>
  /** Size of the file; of a flattened one, of the plain file inside. */
  readonly bytes: number
  /** Bytes after everything that the file speaks of: 0 unless something was appended. */
  readonly trailingBytes: number
}

/**
 * Reads and decompresses every page of a vmcore and checks that headers, bitmaps, descriptors and data agree, whatever
 * the order of the pages in the file. Throws VmcoreError naming the first bad frame and its file offset, AbortError when
 * `signal` is aborted, and what a thread died of.
 */
export async function verifyVmcore(vmcore: Vmcore, options: VerifyOptions = {}): Promise<VerifySummary> {
  const { info, bytes } = vmcore
  const { threads } = options
  if (threads && !(Number.isInteger(threads.jobs) && threads.jobs >= 1 && threads.jobs <= MAX_JOBS)) {
    throw new RangeError(`jobs: expected an integer from 1 to ${MAX_JOBS}, found ${threads.jobs}`)
  }
  if (info.incomplete) throw new VmcoreError('TRUNCATED', 'the file says of itself that it is incomplete')
  const excludedFrames = await vmcore.checkTables(options.signal ? { signal: options.signal } : {})
  const { lowest, end, ...counts } = await checkAllPages(vmcore, options)
  const zerosEnd = info.format === 'kdump' ? await checkDataStart(vmcore, lowest) : 0
  const spokenOf = Math.max(info.headersEnd, end, zerosEnd)
  return {
    ...counts,
    excludedFrames,
    bytes: bytes.sizeBytes,
    trailingBytes: Math.max(0, bytes.sizeBytes - spokenOf),
  }
}

async function checkAllPages(vmcore: Vmcore, options: VerifyOptions): Promise<PageTotals> {
  const { onProgress, signal } = options
  const decompress = options.decompress ?? vmcore.decompress
  return await vmcore.bytes.lend(async (bytes) => {
    const { pageBytes, dataStart } = vmcore.info
    await using checker = openChecker({ bytes, pageBytes, dataStart }, { ...options, decompress })
    return await checkPages(vmcore, checker, { decompress, onProgress, signal })
  })
}

function openChecker(
  file: CheckedFile,
  { checker, threads, decompress }: VerifyOptions & { decompress: Decompress },
): PageChecker & AsyncDisposable {
  if (checker) return checker(file)
  const here = checkHere(new PageVerifier(file, decompress))
  const count = threads ? threadCount(file, threads) : 1
  if (!threads || count < 2) return here
  return shareTables([...startThreads(count - 1, threads.module, file), here])
}

/** At most `count` threads: fewer where the machine gives no more, for pages are checked without them too. */
function startThreads(count: number, module: URL, file: CheckedFile): PageCheckThread[] {
  const started: PageCheckThread[] = []
  try {
    while (started.length < count) started.push(new PageCheckThread(module, file))
  } catch (error) {
    if (!isThreadRefused(error)) throw error
  }
  return started
}

/** Whether a thread could not be had: what Node throws then. */
function isThreadRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_INIT_FAILED'
}

/** This one included. */
function threadCount({ bytes, dataStart }: CheckedFile, { jobs, bytesEach = BYTES_EACH }: VerifyThreads): number {
  return Math.min(jobs, Math.floor((bytes.sizeBytes - dataStart) / bytesEach))
}
