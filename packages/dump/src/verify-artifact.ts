import { type OpenPageChecker, openVmcore, type VerifySummary, verifyVmcore } from '@ullage/vmcore'
import { openDecompress } from './decompress.ts'
import { DumpError } from './dump-error.ts'
import { dumpDefaults } from './dump-options.ts'
import { type HashedFile, hashFile } from './hash-file.ts'

const fromSource = import.meta.url.endsWith('.ts')
const threadModule = new URL(fromSource ? './check-pages-worker.ts' : './check-pages-worker.js', import.meta.url)

export interface VerifyOptions {
  /** Threads that decompress, at most; `dumpDefaults.jobs` unless it says otherwise. A small file needs none. */
  readonly jobs?: number
  /** Checks the pages instead, in threads that are there already. */
  readonly checker?: OpenPageChecker
  readonly signal?: AbortSignal
  /** Told pages done, of how many. */
  readonly onProgress?: (done: number, total: number) => void
}

export interface VerifiedArtifact extends VerifySummary, HashedFile {
  /** Size of the file. */
  readonly bytes: number
}

/**
 * Reads a finished vmcore back: decompresses every stored page, and hashes the file meanwhile. The hash cannot be taken
 * while a kdump file is written, since its page descriptors stand before the data that they describe and are known last.
 * Throws VmcoreError naming the first frame that does not read back, and DumpError `VERIFY_FAILED` for bytes that no header
 * speaks of.
 */
export async function verifyArtifact(path: string, options: VerifyOptions = {}): Promise<VerifiedArtifact> {
  const { jobs = dumpDefaults.jobs, checker, onProgress } = options
  await using vmcore = await openVmcore(path)
  using decompress = openDecompress()
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const how = checker ? { checker } : { threads: { jobs, module: threadModule } }
  const hashing = orStop(
    stop,
    vmcore.bytes.lend(({ fd }) => hashFile(fd, signal)),
  )
  const verifying = orStop(
    stop,
    verifyVmcore(vmcore, { decompress, ...how, signal, ...(onProgress ? { onProgress } : {}) }),
  )
  await Promise.allSettled([hashing, verifying])
  // The reason is what failed first.
  stop.signal.throwIfAborted()
  const [hashed, verified] = await Promise.all([hashing, verifying])
  if (verified.trailingBytes > 0) {
    throw new DumpError(
      'VERIFY_FAILED',
      `${path} goes on for ${verified.trailingBytes} bytes after everything that its headers speak of: something was appended to it`,
    )
  }
  return { ...verified, ...hashed }
}

/** Where `work` fails, what goes on beside it is stopped for the same reason. */
async function orStop<T>(stop: AbortController, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    stop.abort(error)
    throw error
  }
}
