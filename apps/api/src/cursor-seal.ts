import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'

const TABLE = `
CREATE TABLE IF NOT EXISTS cursor_key (only INTEGER PRIMARY KEY CHECK (only = 1), key BLOB NOT NULL) STRICT;
`
const BLOCK_BYTES = 16
const CURSOR = /^[A-Za-z0-9_-]{22}$/

/**
 * Positions in the journal as cursors. Sealed, because a number would tell a client how many dumps others ask for; one
 * block of AES holds a position and eight bytes of zeros, which a cursor that was not made here does not.
 */
export class CursorSeal {
  readonly #key: Uint8Array

  /** Takes the key from the journal's database, so that cursors outlive a restart. */
  constructor(database: DatabaseSync) {
    database.exec(TABLE)
    database.prepare('INSERT INTO cursor_key (only, key) VALUES (1, ?) ON CONFLICT DO NOTHING').run(randomBytes(16))
    const key = database.prepare('SELECT key FROM cursor_key').get()?.key
    if (!(key instanceof Uint8Array)) throw new Error('expected a key in the table cursor_key, found none')
    this.#key = key
  }

  seal(position: number): string {
    const block = Buffer.alloc(BLOCK_BYTES)
    block.writeBigUInt64BE(BigInt(position))
    const cipher = createCipheriv('aes-128-ecb', this.#key, null).setAutoPadding(false)
    return Buffer.concat([cipher.update(block), cipher.final()]).toString('base64url')
  }

  /** The position, or undefined when this is no cursor of this journal. */
  open(cursor: string): number | undefined {
    if (!CURSOR.test(cursor)) return undefined
    const decipher = createDecipheriv('aes-128-ecb', this.#key, null).setAutoPadding(false)
    const block = Buffer.concat([decipher.update(Buffer.from(cursor, 'base64url')), decipher.final()])
    const position = block.readBigUInt64BE()
    return block.readBigUInt64BE(8) === 0n && position <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(position) : undefined
  }
}
