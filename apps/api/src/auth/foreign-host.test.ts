import { expect, test } from 'vitest'
import { setUp } from '../../test/api-under-test.ts'
import { trustedProxies } from '../trusted-proxies.ts'
import { isLoopback } from './auth-config.ts'

test('who is asked nothing has to ask by a name of this machine', async () => {
  const api = await setUp({ knowsHost: isLoopback })
  for (const [host, status] of [
    ['localhost:7070', 200],
    ['127.0.0.1:7070', 200],
    ['[::1]:7070', 200],
    ['evil.example', 400],
    ['127.0.0.1.evil.example:7070', 400],
  ] as const) {
    for (const url of ['/v1/dumps', '/openapi.json', '/metrics'])
      expect([host, (await api.app.inject({ url, headers: { host } })).statusCode]).toEqual([host, status])
  }
  await api.tearDown()
})

test('a name that a proxy forwards does not stand for the one that was asked by', async () => {
  const api = await setUp({ knowsHost: isLoopback }, {}, { trustsProxy: trustedProxies.parse('127.0.0.1') })
  const ask = (headers: Record<string, string>) => api.app.inject({ url: '/v1/dumps', headers })
  const forged = await ask({ host: 'evil.example', 'x-forwarded-host': 'localhost' })
  expect(forged.statusCode).toBe(400)
  expect(forged.json().detail).toBe('expected a Host that is a loopback address, found evil.example')
  const proxied = await ask({ host: '127.0.0.1:7070', 'x-forwarded-host': 'ullage.example' })
  expect(proxied.statusCode).toBe(200)
  await api.tearDown()
})
