import { expect, test } from 'vitest'
import { dumpRequest } from './dump-options.ts'
import { guestId, hostId } from './names.ts'

test('a request with a guest alone has the defaults of ullage dump', () => {
  expect(dumpRequest.parse({ guest: 'web-1' })).toEqual({
    guest: 'web-1',
    level: 31,
    compression: 'zstd',
    format: 'kdump',
    trust: 'guest',
    pvTables: 'keep',
    priority: 'normal',
    live: false,
  })
})

test.each([
  { guest: 'web-1', level: 32 },
  { guest: 'web-1', level: -1 },
  { guest: 'web-1', level: 1.5 },
  { guest: 'web-1', compression: 'gzip' },
  { guest: 'web-1', pvTables: 'yes' },
  { guest: 'web-1', output: '/etc/passwd' },
  { guest: 'web-1', socket: '/run/x.sock' },
  { guest: '../web-1' },
  { guest: '' },
  {},
])('refuses %j', (body) => {
  expect(dumpRequest.safeParse(body).success).toBe(false)
})

test.each(['.', '..', '../a', 'a/b', 'a\0', '-a', '', 'a'.repeat(64), 'a b', 'a:b', 'ä'])('%j is no guest id', (id) => {
  expect(guestId.safeParse(id).success).toBe(false)
})

test.each(['a:b', 'a_b', '', '.a'])('%j is no host id', (id) => {
  expect(hostId.safeParse(id).success).toBe(false)
})
