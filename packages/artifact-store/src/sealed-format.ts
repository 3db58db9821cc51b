import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { z } from 'zod'
import { StoreError } from './store-error.ts'

/** Plaintext of a chunk, but of the last, which has what is left: at least one byte, or none in an empty artifact. */
export const CHUNK_BYTES = 64 * 1024
const TAG_BYTES = 16
/** A slot holds a chunk and its tag. The header has the first one, so that all slots but the last are of one size. */
export const SLOT_BYTES = CHUNK_BYTES + TAG_BYTES
/** The first bytes of an encrypted artifact. No vmcore begins so. */
const MAGIC = Buffer.from('ULLAGE-SEALED-1\n', 'latin1')
const CIPHER = 'aes-256-gcm'

/** What stands in the header, as JSON after magic and length. */
const sealedHeader = z.strictObject({
  /** Id of the dump: an artifact that was put in the place of another one is refused. */
  dump: z.uuid(),
  cipher: z.literal('AES-256-GCM'),
  chunkBytes: z.literal(CHUNK_BYTES),
  /** Which key wraps the data key. */
  keyId: z.string().min(1).max(200),
  wrappedKey: z.base64().max(8192),
})
export type SealedHeader = z.infer<typeof sealedHeader>

export function encodeHeader(header: Pick<SealedHeader, 'dump' | 'keyId' | 'wrappedKey'>): Buffer {
  const json = Buffer.from(
    JSON.stringify(sealedHeader.parse({ ...header, cipher: 'AES-256-GCM', chunkBytes: CHUNK_BYTES })),
  )
  const slot = Buffer.alloc(SLOT_BYTES)
  MAGIC.copy(slot)
  slot.writeUInt32BE(json.length, MAGIC.length)
  json.copy(slot, MAGIC.length + 4)
  return slot
}

export function looksSealed(start: Uint8Array): boolean {
  return MAGIC.equals(start.subarray(0, MAGIC.length))
}

/** Throws StoreError `STORE_CORRUPT`. */
export function decodeHeader(slot: Buffer): SealedHeader {
  if (slot.length !== SLOT_BYTES || !looksSealed(slot)) throw corrupt('its header is cut off')
  const length = slot.readUInt32BE(MAGIC.length)
  const start = MAGIC.length + 4
  if (length > SLOT_BYTES - start) throw corrupt('its header has no length that can be')
  try {
    return sealedHeader.parse(JSON.parse(slot.toString('utf8', start, start + length)))
  } catch (cause) {
    throw corrupt('its header is no header', cause)
  }
}

/** Bytes of the encrypted form of an artifact of `plainBytes`. */
export function sealedBytes(plainBytes: number): number {
  const chunks = chunksOf(plainBytes)
  return SLOT_BYTES + plainBytes + chunks * TAG_BYTES
}

/** Chunks of an artifact of `plainBytes`: an empty one has one, which is empty. */
export function chunksOf(plainBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / CHUNK_BYTES))
}

/** The reverse of `sealedBytes`. Throws StoreError `STORE_CORRUPT` for a size that none can have. */
export function plainBytes(storedBytes: number): number {
  const body = storedBytes - SLOT_BYTES
  const last = body % SLOT_BYTES
  const whole = Math.floor(body / SLOT_BYTES)
  const empty = whole === 0 && last === TAG_BYTES
  if (body < TAG_BYTES || (last !== 0 && last <= TAG_BYTES && !empty)) {
    throw corrupt(`its ${storedBytes} bytes are no whole number of chunks`)
  }
  return whole * CHUNK_BYTES + (last === 0 ? 0 : last - TAG_BYTES)
}

/**
 * Encrypts and decrypts the chunks of one artifact. The nonce is index and last-chunk mark, which no chunk of an artifact
 * shares with another; the data key is of this artifact alone. Every chunk vouches for the whole header.
 */
export class ChunkCipher {
  readonly #key: Buffer
  readonly #aad: Buffer

  /** `header`: the whole first slot. */
  constructor(header: Buffer, dataKey: Buffer) {
    this.#key = dataKey
    this.#aad = createHash('sha256').update(header).digest()
  }

  seal(chunk: Uint8Array, index: number, isLast: boolean): Buffer {
    const cipher = createCipheriv(CIPHER, this.#key, nonceOf(index, isLast)).setAAD(this.#aadOf(index, isLast))
    const sealed = Buffer.allocUnsafe(chunk.length + TAG_BYTES)
    cipher.update(chunk).copy(sealed)
    cipher.final()
    cipher.getAuthTag().copy(sealed, chunk.length)
    return sealed
  }

  /** Throws StoreError `STORE_CORRUPT` unless it is what was sealed as this chunk of this artifact. */
  open(slot: Uint8Array, index: number, isLast: boolean): Buffer {
    const end = slot.length - TAG_BYTES
    if (end < 0) throw corrupt(`chunk ${index} is cut off`)
    const decipher = createDecipheriv(CIPHER, this.#key, nonceOf(index, isLast), { authTagLength: TAG_BYTES })
    decipher.setAAD(this.#aadOf(index, isLast)).setAuthTag(slot.subarray(end))
    const chunk = decipher.update(slot.subarray(0, end))
    try {
      decipher.final()
    } catch (cause) {
      throw corrupt(`chunk ${index} is not what was stored there`, cause)
    }
    return chunk
  }

  #aadOf(index: number, isLast: boolean): Buffer {
    return Buffer.concat([this.#aad, nonceOf(index, isLast)])
  }
}

function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(index))
  nonce[8] = isLast ? 1 : 0
  return nonce
}

function corrupt(what: string, cause?: unknown): StoreError {
  return new StoreError('STORE_CORRUPT', `the encrypted artifact is not whole: ${what}`, { cause })
}
