import { openVmcore, type VerifySummary, verifyVmcore } from '@ullage/vmcore'
import { openDecompress } from './decompress.ts'
import { DumpError } from './dump-error.ts'
import { hashFile } from './hash-file.ts'

export interface VerifyOptions {
  readonly signal?: AbortSignal
  /** Told pages done, of how many. */
  readonly onProgress?: (done: number, total: number) => void
}

export interface VerifiedArtifact extends VerifySummary {
  /** Size of the file. */
  readonly bytes: number
  readonly sha256: string
}

/**
 * Reads a finished vmcore back: decompresses every stored page, and hashes the file meanwhile. The hash cannot be taken
 * while a kdump file is written, since its page descriptors stand before the data that they describe and are known last.
 * Throws VmcoreError naming the first frame that does not read back, and DumpError `VERIFY_FAILED` for bytes that no header
 * speaks of.
 */
export async function verifyArtifact(path: string, options: VerifyOptions = {}): Promise<VerifiedArtifact> {
  await using vmcore = await openVmcore(path)
  const [hashed, verified] = await Promise.all([
    hashFile(path, options.signal),
    verifyVmcore(vmcore, { decompress: openDecompress(), ...options }),
  ])
  if (verified.trailingBytes > 0) {
    throw new DumpError(
      'VERIFY_FAILED',
      `${path} goes on for ${verified.trailingBytes} bytes after everything that its headers speak of: something was appended to it`,
    )
  }
  return { ...verified, ...hashed }
}
