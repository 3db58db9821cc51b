import { expect, test } from 'vitest'
import { redisAddress } from './redis-address.ts'

test.each([
  ['redis://localhost', { host: 'localhost', port: 6379, db: 0 }],
  ['redis://10.0.0.7:7000/3', { host: '10.0.0.7', port: 7000, db: 3 }],
  ['redis://ops:p%40ss@r.example/1', { host: 'r.example', port: 6379, db: 1, username: 'ops', password: 'p@ss' }],
  ['redis://:p@r', { host: 'r', port: 6379, db: 0, password: 'p' }],
  ['rediss://r:6380', { host: 'r', port: 6380, db: 0, tls: {} }],
  ['redis://[::1]:6379', { host: '::1', port: 6379, db: 0 }],
  ['unix:///run/redis/r.sock', { path: '/run/redis/r.sock', db: 0 }],
  ['unix:///run/a%20b.sock?db=2', { path: '/run/a b.sock', db: 2 }],
  [
    'redis+sentinel://ops:p%40ss@s1,s2:7001,[::1]/mymaster/2',
    {
      sentinels: [
        { host: 's1', port: 26379 },
        { host: 's2', port: 7001 },
        { host: '::1', port: 26379 },
      ],
      name: 'mymaster',
      db: 2,
      username: 'ops',
      password: 'p@ss',
    },
  ],
  [
    'rediss+sentinel://s1/m?sentinel-user=u&sentinel-password=w%26',
    {
      sentinels: [{ host: 's1', port: 26379 }],
      name: 'm',
      db: 0,
      tls: {},
      sentinelUsername: 'u',
      sentinelPassword: 'w&',
      enableTLSForSentinelMode: true,
      sentinelTLS: {},
    },
  ],
  [
    'redis+cluster://:p@n1:7000,n2',
    {
      nodes: [
        { host: 'n1', port: 7000 },
        { host: 'n2', port: 6379 },
      ],
      password: 'p',
    },
  ],
  ['rediss+cluster://n1/', { nodes: [{ host: 'n1', port: 6379 }], tls: {} }],
])('reads %s', (text, expected) => {
  expect(redisAddress.parse(text)).toEqual(expected)
})

test.each([
  '',
  'localhost:6379',
  'http://r',
  'redis://',
  'redis://r/x',
  'unix://host/path',
  'unix:///',
  'redis://%zz@r',
  'redis+sentinel://s1,s2',
  'redis+sentinel:///m',
  'redis+sentinel://s1/m/x',
  'redis+sentinel://s1,,s2/m',
  'redis+cluster://',
  'redis+cluster://n1/2',
  'redis+cluster://n1:99999',
  'redis+other://n1',
])('refuses %j, and does not repeat it', (text) => {
  const { error } = redisAddress.safeParse(text)
  expect(error?.issues[0]?.message).toMatch(/^expected redis:/)
})

test('an address with a password that is wrong elsewhere does not put the password into the error', () => {
  const { error } = redisAddress.safeParse('redis://:secret@r/notanumber')
  expect(String(error)).not.toContain('secret')
})
