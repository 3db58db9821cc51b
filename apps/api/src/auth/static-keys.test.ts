import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { authenticateBy } from './authenticate.ts'
import { ReloadedFile } from './reloaded-file.ts'
import { type KeyEntry, makeKey, parseKeys, type StaticKeys } from './static-keys.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-keys-'))
  path = join(folder, 'keys.json')
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true })
})

/** As an editor does it: the file is another one afterwards. */
function write(keys: KeyEntry[] | string, mode = 0o640): void {
  writeFileSync(`${path}.new`, typeof keys === 'string' ? keys : JSON.stringify({ keys }))
  chmodSync(`${path}.new`, mode)
  renameSync(`${path}.new`, path)
}

const open = (): ReloadedFile<StaticKeys> =>
  new ReloadedFile({ path, parse: parseKeys, isPrivate: true, log: pino({ level: 'silent' }) })
const later = () => vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 10_000)

test('a key opens what its entry says, and its entry does not hold it', async () => {
  const { key, entry } = makeKey({ id: 'ci', scopes: ['dumps:read'], tenant: 'acme' })
  expect(key).toMatch(/^ullage_[A-Za-z0-9_-]{43}$/)
  expect(JSON.stringify(entry)).not.toContain(key.slice(7))
  write([entry])
  const authenticate = authenticateBy({ keys: open() })
  const principal = { id: 'key:ci', tenant: 'acme', scopes: new Set(['dumps:read']) }
  expect(await authenticate(`Bearer ${key}`)).toEqual(principal)
  for (const wrong of [`${key}a`, key.slice(0, -1), entry.hash, `ullage_${entry.hash}`]) {
    await expect(authenticate(`Bearer ${wrong}`)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  }
})

test('keys come and go with the file, while the API runs', async () => {
  const [first, second] = [makeKey({ id: 'a', scopes: ['admin'] }), makeKey({ id: 'b', scopes: ['admin'] })]
  write([first.entry])
  const authenticate = authenticateBy({ keys: open() })
  await authenticate(`Bearer ${first.key}`)
  write([second.entry])
  later()
  await expect(authenticate(`Bearer ${first.key}`)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  expect(await authenticate(`Bearer ${second.key}`)).toMatchObject({ id: 'key:b', tenant: null })
})

test('an edit that went wrong changes nothing, until there is a file that can be used', async () => {
  const { key, entry } = makeKey({ id: 'a', scopes: ['admin'] })
  write([entry])
  const authenticate = authenticateBy({ keys: open() })
  for (const wrong of ['{"keys":[', '{"keys":[{"id":"a"}]}']) {
    write(wrong)
    later()
    expect(await authenticate(`Bearer ${key}`)).toMatchObject({ id: 'key:a' })
  }
  write([], 0o644)
  later()
  expect(await authenticate(`Bearer ${key}`)).toMatchObject({ id: 'key:a' })
  chmodSync(path, 0o600)
  later()
  await expect(authenticate(`Bearer ${key}`)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})

test.each([0o644, 0o604, 0o602, 0o666])('a file of mode %o is refused', (mode) => {
  write([], mode)
  expect(open).toThrow(/expected a file that only its owner and group can read, found mode 0[0-7]{3}: chmod o=/)
})

const { entry } = makeKey({ id: 'a', scopes: ['admin'] })
test.each([
  ['no JSON', '{', /expected JSON/],
  ['another member', '{"keys":[],"more":1}', /more/],
  ['a key of no tenant and no admin', { ...entry, scopes: ['dumps:read'] }, /expected a tenant, or the scope admin/],
  ['an unknown scope', { ...entry, scopes: ['root'] }, /keys\.0\.scopes\.0/],
  ['a hash that is none', { ...entry, hash: 'a secret' }, /keys\.0\.hash: expected "sha256:"/],
  ['a tenant that is none', { ...entry, tenant: '/' }, /keys\.0\.tenant/],
])('%s is refused, and not repeated', (_, content, message) => {
  write(typeof content === 'string' ? content : JSON.stringify({ keys: [content] }))
  expect(open).toThrow(message)
  expect(open).not.toThrow(/a secret/)
})

test('the same id twice is refused', () => {
  write([entry, { ...makeKey({ id: 'a', scopes: ['admin'] }).entry }])
  expect(open).toThrow(/expected every id once/)
})

test('a key of no tenant is an admin or reads metrics alone, and metrics are of no tenant', () => {
  const isTaken = (of: object) => {
    const entry = { id: 'a', hash: `sha256:${'0'.repeat(64)}`, ...of }
    try {
      return parseKeys(JSON.stringify({ keys: [entry] })).size === 1
    } catch {
      return false
    }
  }
  expect(isTaken({ scopes: ['metrics:read'] })).toBe(true)
  expect(isTaken({ scopes: ['metrics:read', 'admin'] })).toBe(true)
  expect(isTaken({ scopes: ['metrics:read', 'guests:read'] })).toBe(false)
  expect(isTaken({ scopes: ['guests:read'] })).toBe(false)
  expect(isTaken({ scopes: ['metrics:read'], tenant: 'acme' })).toBe(false)
})
