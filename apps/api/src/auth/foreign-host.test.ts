import { expect, test } from 'vitest'
import { setUp } from '../../test/api-under-test.ts'
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
