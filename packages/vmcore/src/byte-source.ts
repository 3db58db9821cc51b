import type { SharedBytes } from './shared-bytes.ts'

/** Bytes that can be read anywhere. Positions are bytes. */
export interface ByteSource extends AsyncDisposable {
  readonly sizeBytes: number
  /**
   * Fills all of `into` from `position`, or throws VmcoreError: TRUNCATED when the source ends before, naming `what`.
   * Never a short read.
   */
  read(into: Uint8Array, position: number, what: string): Promise<void>
  /**
   * The same where the format allows for holes: what no record of a flattened file holds is zeros, as in the plain file
   * that it stands for. makedumpfile leaves holes in bitmaps; a hole anywhere else is CORRUPT.
   */
  readSparse(into: Uint8Array, position: number, what: string): Promise<void>
  /** Lets threads read by themselves until `use` has settled, for which closing waits. */
  lend<T>(use: (bytes: SharedBytes) => Promise<T>): Promise<T>
}

/** `sizeBytes` bytes from `position`, read at once. */
export async function readBytes(
  source: ByteSource,
  position: number,
  sizeBytes: number,
  what: string,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes)
  await source.read(bytes, position, what)
  return bytes
}
