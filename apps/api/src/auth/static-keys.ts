import { createHash, randomBytes } from 'node:crypto'
import { tenantId } from '@ullage/dump-job'
import { z } from 'zod'
import { needNoTenant, type Principal, scope } from './principal.ts'

/** Bytes of randomness in a key. */
const KEY_BYTES = 32
const PREFIX = 'ullage_'

/** What a keys file has of one key: everything but the key. */
export const keyEntry = z
  .strictObject({
    id: tenantId.describe('name of the key; made like that of a tenant'),
    hash: z
      .string()
      .regex(/^sha256:[0-9a-f]{64}$/, 'expected "sha256:" and 64 hexadecimal digits, as make-key prints it'),
    scopes: z.array(scope).min(1),
    tenant: tenantId.optional(),
  })
  .refine(({ tenant, scopes }) => tenant !== undefined || needNoTenant(new Set(scopes)), {
    message: 'expected a tenant, or the scope admin, or metrics:read alone: a key of no tenant sees all',
  })
  .refine(({ tenant, scopes }) => tenant === undefined || !scopes.includes('metrics:read'), {
    message: 'expected metrics:read without a tenant: metrics are of all tenants',
  })
export type KeyEntry = z.infer<typeof keyEntry>

const keysFile = z.strictObject({ keys: z.array(keyEntry) }).superRefine(({ keys }, context) => {
  for (const member of ['id', 'hash'] as const) {
    if (new Set(keys.map((key) => key[member])).size < keys.length) {
      context.addIssue({ code: 'custom', message: `expected every ${member} once`, path: ['keys'] })
    }
  }
})

/** Principals by the hash of their keys. */
export type StaticKeys = ReadonlyMap<string, Principal>

/** Reads the text of a keys file. Throws what says where it is wrong, without its content. */
export function parseKeys(text: string): StaticKeys {
  return new Map(
    keysFile
      .parse(JSON.parse(text))
      .keys.map(({ id, hash, scopes, tenant = null }) => [
        hash,
        { id: `key:${id}`, tenant, scopes: new Set(scopes) } satisfies Principal,
      ]),
  )
}

/** Whether a token looks like a key of ours; a JWT never does. */
export function isStaticKey(token: string): boolean {
  return token.startsWith(PREFIX)
}

/**
 * SHA-256, and no slow hash: a key is 256 random bits, so there is nothing that could be guessed, and scrypt would cost
 * each request some 50 ms and 16 MiB, which anybody could ask for. Keys are found by their hash: what a look-up in a table
 * may tell by its time is of a hash that nobody can choose.
 */
export function hashOfKey(key: string): string {
  return `sha256:${createHash('sha256').update(key).digest('hex')}`
}

/** A new key, and its entry. The key is nowhere else. */
export function makeKey(of: Omit<KeyEntry, 'hash'>): { key: string; entry: KeyEntry } {
  const key = `${PREFIX}${randomBytes(KEY_BYTES).toString('base64url')}`
  return { key, entry: keyEntry.parse({ ...of, hash: hashOfKey(key) }) }
}
