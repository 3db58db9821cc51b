import type { OpenArtifact } from './artifact-store.ts'
import type { Keyring } from './keyring.ts'
import {
  CHUNK_BYTES,
  ChunkCipher,
  chunksOf,
  decodeHeader,
  looksSealed,
  plainBytes,
  SLOT_BYTES,
} from './sealed-format.ts'
import { StoreError } from './store-error.ts'
import { readAll, type StoredBytes } from './stored-bytes.ts'

/**
 * The artifact of `dump` in `stored`, decrypted where it is encrypted. Header and last chunk are checked before it is open, so
 * that one that was cut off is refused whatever range is read. Closes `stored` when it throws, and when it is closed.
 */
export async function openStored(stored: StoredBytes, dump: string | undefined, keys: Keyring): Promise<OpenArtifact> {
  try {
    const header = await readAll(stored, 0, Math.min(SLOT_BYTES, stored.sizeBytes))
    return looksSealed(header) ? await openSealed(stored, header, dump, keys) : openPlain(stored)
  } catch (error) {
    await stored.close()
    throw error
  }
}

function openPlain(stored: StoredBytes): OpenArtifact {
  return {
    sizeBytes: stored.sizeBytes,
    isSealed: false,
    read: (startByte, endByte, signal) => stored.read(startByte, endByte, signal),
    close: () => stored.close(),
  }
}

async function openSealed(
  stored: StoredBytes,
  slot: Buffer,
  dump: string | undefined,
  keys: Keyring,
): Promise<OpenArtifact> {
  const header = decodeHeader(slot)
  if (dump !== undefined && header.dump !== dump) {
    throw new StoreError('STORE_CORRUPT', `expected the artifact of dump ${dump}, found that of ${header.dump}`)
  }
  const cipher = new ChunkCipher(slot, await keys.unwrap(header))
  const sizeBytes = plainBytes(stored.sizeBytes)
  const last = chunksOf(sizeBytes) - 1
  cipher.open(await readAll(stored, slotOf(last), stored.sizeBytes), last, true)
  return {
    sizeBytes,
    isSealed: true,
    read: (startByte, endByte, signal) => decrypt({ stored, cipher, last, startByte, endByte, signal }),
    close: () => stored.close(),
  }
}

function slotOf(chunk: number): number {
  return (chunk + 1) * SLOT_BYTES
}

interface DecryptOptions {
  readonly stored: StoredBytes
  readonly cipher: ChunkCipher
  /** Index of the last chunk. */
  readonly last: number
  readonly startByte: number
  readonly endByte: number
  readonly signal: AbortSignal | undefined
}

async function* decrypt({
  stored,
  cipher,
  last,
  startByte,
  endByte,
  signal,
}: DecryptOptions): AsyncGenerator<Uint8Array> {
  if (endByte <= startByte) return
  const first = Math.floor(startByte / CHUNK_BYTES)
  const end = Math.ceil(endByte / CHUNK_BYTES)
  let index = first
  for await (const slot of inSlots(stored.read(slotOf(first), Math.min(slotOf(end), stored.sizeBytes), signal))) {
    const chunk = cipher.open(slot, index, index === last)
    const from = Math.max(0, startByte - index * CHUNK_BYTES)
    yield chunk.subarray(from, Math.min(chunk.length, endByte - index * CHUNK_BYTES))
    index++
  }
  if (index !== end) throw new StoreError('STORE_CORRUPT', `expected ${end - first} chunks, found ${index - first}`)
}

/** Pieces of any size as slots; the last may be shorter. */
async function* inSlots(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const slot = Buffer.allocUnsafe(SLOT_BYTES)
  let used = 0
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const taken = Math.min(piece.length - at, SLOT_BYTES - used)
      slot.set(piece.subarray(at, at + taken), used)
      used += taken
      at += taken
      if (used < SLOT_BYTES) continue
      yield slot
      used = 0
    }
  }
  if (used > 0) yield slot.subarray(0, used)
}
