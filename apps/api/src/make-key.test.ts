import { afterEach, expect, test, vi } from 'vitest'
import { hashOfKey, parseKeys } from './auth/static-keys.ts'
import { makeKey } from './make-key.ts'

afterEach(() => vi.restoreAllMocks())

function call(...args: string[]) {
  const said = { out: '', err: '' }
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => (said.out += String(text)) !== '')
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => (said.err += String(text)) !== '')
  return { status: makeKey(args), ...said }
}

test('prints a key and its entry, which a keys file takes', () => {
  const { status, out } = call('--id', 'ci', '--scopes', 'dumps:write,dumps:read', '--tenant', 'acme')
  expect(status).toBe(0)
  const [key = '', line = ''] = out.split('\n')
  const keys = parseKeys(`{"keys":[${line}]}`)
  expect(keys.get(hashOfKey(key))).toEqual({
    id: 'key:ci',
    tenant: 'acme',
    scopes: new Set(['dumps:write', 'dumps:read']),
  })
})

test.each([
  [[], /^id: /],
  [['--id', 'ci', '--scopes', 'root'], /scopes\.0: /],
  [['--id', 'ci', '--scopes', 'dumps:read'], /expected a tenant, or the scope admin/],
  [['--id', 'ci', '--scopes', 'admin', '--tenant', 'a b'], /tenant: expected the id of a tenant/],
  [['--key', 'x'], /--key/],
])('%j is a call that is wrong', (args, message) => {
  const { status, out, err } = call(...args)
  expect([status, out]).toEqual([2, ''])
  expect(err).toMatch(message)
  expect(err).toContain('usage: make-key')
})
