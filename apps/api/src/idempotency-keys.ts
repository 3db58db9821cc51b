import { createHash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'

/** How long a key is remembered, in milliseconds. */
const KEPT_MS = 24 * 3600 * 1000
/** Keys of one owner that are remembered at the same time. */
const MOST_PER_OWNER = 10_000

const TABLE = `
CREATE TABLE IF NOT EXISTS idempotency_keys (
  owner TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  dump TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idempotency_keys_by_age ON idempotency_keys (created_ms);
`

/** What a client sends as Idempotency-Key. */
export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, 'expected 1 to 128 visible ASCII characters without spaces')

/** A request that its sender may repeat: it has the same effect once, for each owner and key. */
export interface KeyedRequest {
  /** Who sends it. Keys of different owners never meet. */
  readonly owner: string
  readonly key: string
  /** Of what is asked for, so that a key that is used again for something else is found out. */
  readonly fingerprint: string
}

export interface RememberedKey {
  readonly fingerprint: string
  /** Id of the dump that was made. */
  readonly dump: string
}

/** The fingerprint of a body that a schema has parsed, whose members are thus always in the same order. */
export function fingerprintOf(body: object): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('base64url')
}

/** Keys of requests that made a dump, in the journal's database. Takes part in the transaction that is open. */
export class IdempotencyKeys {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
    database.exec(TABLE)
  }

  find({ owner, key }: KeyedRequest, nowMs = Date.now()): RememberedKey | undefined {
    const found = this.#database
      .prepare('SELECT fingerprint, dump FROM idempotency_keys WHERE owner = ? AND key = ? AND created_ms > ?')
      .get(owner, key, nowMs - KEPT_MS)
    return found && { fingerprint: String(found.fingerprint), dump: String(found.dump) }
  }

  /** Whether the owner may bring another key. */
  hasRoom(owner: string, nowMs = Date.now()): boolean {
    const found = this.#database
      .prepare('SELECT count(*) AS keys FROM idempotency_keys WHERE owner = ? AND created_ms > ?')
      .get(owner, nowMs - KEPT_MS)
    return Number(found?.keys) < MOST_PER_OWNER
  }

  /** Writes the key down, and forgets those that are older than 24 h. Throws when it is remembered already. */
  remember({ owner, key, fingerprint }: KeyedRequest, dump: string, nowMs = Date.now()): void {
    this.#database.prepare('DELETE FROM idempotency_keys WHERE created_ms <= ?').run(nowMs - KEPT_MS)
    this.#database
      .prepare('INSERT INTO idempotency_keys (owner, key, fingerprint, dump, created_ms) VALUES (?, ?, ?, ?, ?)')
      .run(owner, key, fingerprint, dump, nowMs)
  }
}
