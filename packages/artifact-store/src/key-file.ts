import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import type { WrappingKey } from './keyring.ts'
import { StoreError } from './store-error.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CIPHER = 'aes-256-gcm'
const OTHERS = 0o007

/**
 * A key of 32 bytes in a file that others than its owner and group cannot open. Its id is made of its content. Throws
 * StoreError `KEY_REFUSED`.
 */
export function readKeyFile(path: string): WrappingKey {
  const key = readKey(path)
  const id = `file-${createHash('sha256').update('ullage key id').update(key).digest('hex').slice(0, 16)}`
  const aadOf = (dump: string) => Buffer.from(`ullage data key ${id} ${dump}`)
  return {
    id,
    async wrap(dataKey, dump) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(aadOf(dump))
      return Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()])
    },
    async unwrap(wrapped, dump) {
      try {
        const end = wrapped.length - TAG_BYTES
        const decipher = createDecipheriv(CIPHER, key, wrapped.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        decipher.setAAD(aadOf(dump)).setAuthTag(wrapped.subarray(end))
        return Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES, end)), decipher.final()])
      } catch (cause) {
        throw new StoreError('STORE_CORRUPT', `the data key of dump ${dump} is not what key ${id} wrapped`, { cause })
      }
    },
  }
}

function readKey(path: string): Buffer {
  let fd: number
  try {
    // Without O_NONBLOCK opening a FIFO waits for a writer, for ever.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    throw refused(path, `cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
  try {
    const { mode, size } = fstatSync(fd)
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw refused(path, 'is not a regular file')
    if ((mode & OTHERS) !== 0)
      throw refused(path, `can be used by everybody (mode ${(mode & 0o777).toString(8)}): chmod o= it`)
    const key = Buffer.alloc(KEY_BYTES)
    const read = readSync(fd, key, 0, KEY_BYTES, 0)
    if (size !== KEY_BYTES || read !== KEY_BYTES)
      throw refused(path, `has ${size} bytes, expected ${KEY_BYTES} random ones`)
    return key
  } finally {
    closeSync(fd)
  }
}

function refused(path: string, what: string, cause?: unknown): StoreError {
  return new StoreError('KEY_REFUSED', `the key file ${path} ${what}`, { cause })
}
