import { randomBytes } from 'node:crypto'
import type { Sealing } from './delivery.ts'
import { encodeHeader, type SealedHeader } from './sealed-format.ts'
import { StoreError } from './store-error.ts'

const DATA_KEY_BYTES = 32

/** What wraps data keys: a key file, or a command that asks a KMS. */
export interface WrappingKey {
  /** Stands in every artifact whose data key it wraps. */
  readonly id: string
  wrap(dataKey: Buffer, dump: string): Promise<Buffer>
  /** Throws StoreError, also for what it did not wrap for this dump. */
  unwrap(wrapped: Buffer, dump: string): Promise<Buffer>
}

/** The keys that are configured: the first wraps, all unwrap. Without keys nothing is encrypted. */
export class Keyring {
  readonly #keys: readonly WrappingKey[]

  constructor(keys: readonly WrappingKey[]) {
    this.#keys = keys
  }

  /** Whether artifacts are encrypted. */
  get encrypts(): boolean {
    return this.#keys.length > 0
  }

  /** A new data key for the artifact of `dump`, and its header; undefined when no key is configured. */
  async newSealing(dump: string): Promise<Sealing | undefined> {
    const key = this.#keys[0]
    if (!key) return undefined
    const dataKey = randomBytes(DATA_KEY_BYTES)
    const wrapped = await key.wrap(dataKey, dump)
    const header = encodeHeader({ dump, keyId: key.id, wrappedKey: wrapped.toString('base64') })
    return { header: header.toString('base64'), dataKey: dataKey.toString('base64') }
  }

  /** The data key of an artifact. Throws StoreError. */
  async unwrap({ keyId, wrappedKey, dump }: SealedHeader): Promise<Buffer> {
    const key = this.#keys.find(({ id }) => id === keyId)
    if (!key) {
      throw new StoreError(
        'KEY_UNKNOWN',
        `the artifact of dump ${dump} is encrypted with key ${keyId}, which is not configured here`,
      )
    }
    const dataKey = await key.unwrap(Buffer.from(wrappedKey, 'base64'), dump)
    if (dataKey.length !== DATA_KEY_BYTES) {
      throw new StoreError(
        'KEY_UNAVAILABLE',
        `expected a data key of ${DATA_KEY_BYTES} bytes of key ${keyId}, found ${dataKey.length}`,
      )
    }
    return dataKey
  }
}
