import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { setUp } from '../test/api-under-test.ts'
import type { AuditEntry } from './auth/audit-log.ts'
import { trustedProxies } from './trusted-proxies.ts'

let api: Awaited<ReturnType<typeof setUp>> | undefined
afterEach(async () => {
  await api?.tearDown()
  api = undefined
})

const audited: AuditEntry[] = []
const audit = { write: async (entry: AuditEntry) => void audited.push(entry) }

async function begin(setting?: string) {
  audited.length = 0
  const trustsProxy = setting === undefined ? undefined : trustedProxies.parse(setting)
  api = await setUp({ audit, perMinute: 2 }, {}, { trustsProxy })
}

const app = () => api?.app ?? expect.fail('no API')

async function ask(from: string, headers: Record<string, string> = {}) {
  const answer = await app().inject({ url: '/v1/dumps', remoteAddress: from, headers })
  return {
    status: answer.statusCode,
    address: audited.at(-1)?.address,
    secure: answer.headers['strict-transport-security'],
  }
}
const by = (client: string) => ({ 'x-forwarded-for': client, 'x-forwarded-proto': 'https' })

test('behind a trusted proxy, limits, the audit log and TLS go by who asks the proxy', async () => {
  await begin('192.0.2.1, 10.0.0.0/8')
  expect(await ask('192.0.2.1', by('203.0.113.9'))).toMatchObject({ status: 200, address: '203.0.113.9' })
  expect((await ask('192.0.2.1', by('203.0.113.9'))).secure).toMatch(/^max-age/)
  expect((await ask('192.0.2.1', by('203.0.113.9'))).status).toBe(429)
  expect(await ask('192.0.2.1', by('203.0.113.10'))).toMatchObject({ status: 200, address: '203.0.113.10' })
  expect(await ask('::ffff:10.9.8.7', by('203.0.113.11'))).toMatchObject({ status: 200, address: '203.0.113.11' })
})

test('of a chain the last address counts that is no trusted proxy: what a client writes before it does not', async () => {
  await begin('192.0.2.1,10.0.0.0/8')
  const chain = by('198.51.100.1, 203.0.113.9, 10.1.1.1')
  expect(await ask('192.0.2.1', chain)).toMatchObject({ status: 200, address: '203.0.113.9' })
})

test.each([undefined, '192.0.2.1'])('with %s trusted, what others say of who asks is passed over', async (setting) => {
  await begin(setting)
  for (const client of ['203.0.113.1', '203.0.113.2']) {
    const answer = await ask('192.0.2.99', by(client))
    expect(answer).toMatchObject({ status: 200, address: '192.0.2.99', secure: undefined })
  }
  expect((await ask('192.0.2.99', by('203.0.113.3'))).status).toBe(429)
})

test.each([
  ['unix', '203.0.113.9'],
  ['192.0.2.1', null],
])('a proxy that comes by the unix socket is believed where %s says so', async (setting, address) => {
  await begin(setting)
  const socketPath = join(tmpdir(), `ullage-proxy-${process.pid}.sock`)
  await app().listen({ path: socketPath })
  await new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/v1/dumps', agent: false, headers: by('203.0.113.9') }, (answer) =>
      answer.resume().once('end', resolve),
    )
    asked.once('error', reject).end()
  })
  expect(audited.at(-1)).toMatchObject({ outcome: 'allowed', address })
  rmSync(socketPath, { force: true })
})

test.each([
  '',
  'everybody',
  '10.0.0.0/33',
  '0.0.0.0/0',
  '::/0',
  '10.0.0',
  '10.0.0.1;10.0.0.2',
  'fe80::1%eth0',
  '1.2.3.4/',
])('%j names no proxy', (text) =>
  expect(trustedProxies.safeParse(text).error?.message).toMatch(/expected addresses or ranges/),
)
