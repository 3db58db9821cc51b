/** What is kept of an artifact, as it is kept. */
export interface StoredBytes {
  readonly sizeBytes: number
  /** The bytes [startByte, endByte), in pieces of any size. Rejects when there are fewer. */
  read(startByte: number, endByte: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** All of a range, at once: for small ones. */
export async function readAll(bytes: StoredBytes, startByte: number, endByte: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of bytes.read(startByte, endByte)) pieces.push(piece)
  return Buffer.concat(pieces)
}
