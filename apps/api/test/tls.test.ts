import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { CertificateAuthority } from '@ullage/lab'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeKey } from '../src/auth/static-keys.ts'
import { TlsServers } from '../src/tls-server.ts'
import { ApiProcess } from './api-process.ts'

let folder: string
let servers: CertificateAuthority
let clients: CertificateAuthority
let server: { certFile: string; keyFile: string }
let ours: RequestOptions
const { key, entry } = makeKey({ id: 'ci', scopes: ['dumps:read'], tenant: 'acme' })
const { key: stranger } = makeKey({ id: 'other', scopes: ['admin'] })
let env: Record<string, string>

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-tls-'))
  servers = new CertificateAuthority(folder, 'servers')
  clients = new CertificateAuthority(folder, 'clients')
  server = servers.issue('server')
  ours = { ca: readFileSync(servers.certFile) }
  const keysFile = join(folder, 'keys.json')
  writeFileSync(keysFile, JSON.stringify({ keys: [entry] }), { mode: 0o600 })
  env = { ULLAGE_AUTH_KEYS_FILE: keysFile, ULLAGE_TLS_CERT_FILE: server.certFile, ULLAGE_TLS_KEY_FILE: server.keyFile }
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly serial: string
}

function ask(url: string, options: RequestOptions = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const asked = request(url, { ...ours, agent: false, ...options }, (response) => {
    const { serialNumber: serial } = (response.socket as TLSSocket).getPeerCertificate()
    response.resume().once('end', () => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers, serial })
    })
  })
  asked.once('error', reject)
  asked.end()
  return promise
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

test('answers over TLS 1.2 and later only, and says that it always will', async () => {
  await using api = new ApiProcess()
  const url = await api.start(env)
  expect(url).toMatch(/^https:/)
  const answer = await ask(`${url}/v1/dumps`, bearer(key))
  expect(answer.status).toBe(200)
  expect(answer.headers['strict-transport-security']).toMatch(/^max-age=/)
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { minVersion: version, maxVersion: version }
    expect((await ask(`${url}/healthz`, options)).status).toBe(200)
  }
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  await expect(ask(`${url}/healthz`, old)).rejects.toThrow(/protocol version|ECONNRESET/)
  await expect(ask(`${url}/healthz`, { ca: readFileSync(clients.certFile) })).rejects.toThrow(/verify|self-signed/)
  await expect(fetch(url.replace('https:', 'http:'))).rejects.toThrow(/fetch failed/)
})

test('a client without a certificate of the authority is not talked to, and one with it still needs a token', async () => {
  await using api = new ApiProcess()
  const url = await api.start({ ...env, ULLAGE_TLS_CLIENT_CA_FILE: clients.certFile })
  await expect(ask(`${url}/healthz`)).rejects.toThrow(/certificate required|ECONNRESET|socket hang up/)
  const of = ({ certFile, keyFile }: { certFile: string; keyFile: string }) => ({
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
  })
  const foreign = of(new CertificateAuthority(folder, 'strangers').issue('stranger'))
  await expect(ask(`${url}/healthz`, foreign)).rejects.toThrow(/unknown ca|ECONNRESET|socket hang up/)
  const known = of(clients.issue('client'))
  expect((await ask(`${url}/healthz`, known)).status).toBe(200)
  expect((await ask(`${url}/v1/dumps`, known)).status).toBe(401)
  expect((await ask(`${url}/v1/dumps`, { ...known, ...bearer(key) })).status).toBe(200)
})

test('SIGHUP takes a new certificate, and keeps the old one when the new one cannot be used', async () => {
  await using api = new ApiProcess()
  const [certFile, keyFile] = [join(folder, 'now.crt'), join(folder, 'now.key')]
  copyFileSync(server.certFile, certFile)
  copyFileSync(server.keyFile, keyFile)
  const url = await api.start({ ...env, ULLAGE_TLS_CERT_FILE: certFile, ULLAGE_TLS_KEY_FILE: keyFile })
  const before = (await ask(`${url}/healthz`)).serial
  const next = servers.issue('next')
  copyFileSync(next.certFile, certFile)
  api.signal('SIGHUP')
  await api.says(/the certificate stays as it was/)
  expect((await ask(`${url}/healthz`)).serial).toBe(before)
  copyFileSync(next.keyFile, keyFile)
  api.signal('SIGHUP')
  await api.says(/the certificate is read again/)
  expect((await ask(`${url}/healthz`)).serial).not.toBe(before)
})

test('no log has a token, whatever is asked with it', async () => {
  await using api = new ApiProcess()
  const audit = join(api.folder, 'audit.jsonl')
  const url = await api.start({ ...env, ULLAGE_AUDIT_FILE: audit })
  for (const token of [key, stranger, `${key}.${key}.${key}`]) {
    for (const path of ['/v1/dumps', '/v1/guests', '/v1/nothing', '/v1/dumps/x', '/metrics']) {
      await ask(`${url}${path}`, bearer(token))
    }
  }
  const written = readFileSync(audit, 'utf8')
  expect(api.said).toContain('/v1/nothing')
  expect(written).toContain('"principal":"key:ci"')
  for (const text of [api.said, written]) {
    for (const token of [key, stranger]) expect(text).not.toContain(token)
    expect(text.toLowerCase()).not.toContain('bearer ')
  }
})

test('a file of keys that others can read ends it with a sentence and status 2', async () => {
  await using api = new ApiProcess()
  const open = join(folder, 'open.json')
  writeFileSync(open, '{"keys":[]}')
  chmodSync(open, 0o644)
  const started = api.start({ ...env, ULLAGE_AUTH_KEYS_FILE: open })
  await expect(started).rejects.toThrow(/ended with 2: ULLAGE_AUTH_KEYS_FILE: .*found mode 0644/)
})

test('a key of another certificate, one that others can read, and one that is not there are refused', () => {
  const other = servers.issue('other')
  const read = (keyFile: string) => () => new TlsServers({ certFile: server.certFile, keyFile })
  expect(read(other.keyFile)).toThrow(/mismatch/)
  expect(read(join(folder, 'none.key'))).toThrow(/ENOENT/)
  chmodSync(other.keyFile, 0o604)
  expect(read(other.keyFile)).toThrow(/found mode 0604: chmod o=/)
})
