import { expect, test } from 'vitest'
import { readApiConfig } from './api-config.ts'

const least = {
  ULLAGE_AUTH_KEYS_FILE: '/etc/ullage/keys.json',
  ULLAGE_REDIS_URL: 'redis://r',
  ULLAGE_ARTIFACTS_DIR: '/srv/dumps',
  ULLAGE_STATE_DIR: '/var/lib/ullage',
}

test.each([
  [undefined, { host: '127.0.0.1', port: 7070 }],
  ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
  ['[::1]:0', { host: '::1', port: 0 }],
  ['localhost:7070', { host: 'localhost', port: 7070 }],
  ['unix:/run/ullage/api.sock', { path: '/run/ullage/api.sock' }],
])('listens at %s', (text, expected) => {
  expect(readApiConfig({ ...least, ULLAGE_API_LISTEN: text }).listen).toEqual(expected)
})

test.each(['', '7070', 'host', 'host:', 'host:99999', ':80', 'unix:', 'unix:relative', 'http://host:80'])(
  'does not listen at %j',
  (text) => {
    expect(() => readApiConfig({ ...least, ULLAGE_API_LISTEN: text })).toThrow(/^ULLAGE_API_LISTEN: expected HOST:PORT/)
  },
)

test.each([
  [undefined, 365 * 86_400_000],
  ['0.5', 43_200_000],
  ['0', undefined],
])('dumps that ended long ago are forgotten: %s days are %s ms', (text, forgetMs) => {
  expect(readApiConfig({ ...least, ULLAGE_FORGET_DUMPS_DAYS: text }).forgetMs).toBe(forgetMs)
})

test('what has to be set is named', () => {
  expect(() => readApiConfig({})).toThrow(/^ULLAGE_REDIS_URL is not set; .*\nULLAGE_STATE_DIR is not set; /)
  expect(() => readApiConfig({ ...least, ULLAGE_ARTIFACTS_DIR: undefined })).toThrow(/^ULLAGE_ARTIFACTS_DIR is not set/)
})

const open = { ...least, ULLAGE_AUTH_KEYS_FILE: undefined }

test.each([undefined, '127.0.0.1:1', '127.8.9.1:1', '[::1]:1', 'localhost:1', 'unix:/run/api.sock'])(
  'who asks nobody may listen at %s',
  (listen) => {
    expect(readApiConfig({ ...open, ULLAGE_API_LISTEN: listen }).auth).toMatchObject({
      keysFile: undefined,
      jwt: undefined,
      perMinute: undefined,
    })
  },
)

test.each(['0.0.0.0:1', '[::]:1', '10.0.0.1:1', 'api.example:1', '127.0.0.1.example:1', 'localhost.example:1'])(
  'who asks nobody may not listen at %s',
  (listen) => {
    const read = () => readApiConfig({ ...open, ULLAGE_API_LISTEN: listen })
    expect(read).toThrow(/^ULLAGE_API_LISTEN: expected a loopback address or a unix socket, since nobody is asked/)
  },
)

const jwt = {
  ULLAGE_AUTH_JWKS_URL: 'https://id.example/jwks',
  ULLAGE_AUTH_ISSUER: 'https://id.example',
  ULLAGE_AUTH_AUDIENCE: 'ullage',
}

test('tokens may be checked without a file of keys, by three settings together', () => {
  const listen = { ULLAGE_API_LISTEN: '0.0.0.0:1' }
  expect(readApiConfig({ ...open, ...listen, ...jwt }).auth.jwt).toEqual({
    jwksUrl: new URL('https://id.example/jwks'),
    issuer: 'https://id.example',
    audience: 'ullage',
    tenantClaim: 'tenant',
  })
  for (const name of Object.keys(jwt)) {
    expect(() => readApiConfig({ ...least, ...jwt, [name]: undefined })).toThrow(`${name} is not set; tokens are`)
  }
})

test.each([
  ['http://id.example/jwks', false],
  ['https://u:p@id.example/jwks', false],
  ['file:///etc/passwd', false],
  ['id.example', false],
  ['http://127.0.0.1:9/jwks', true],
])('keys are fetched from %s: %s', (url, taken) => {
  const read = () => readApiConfig({ ...least, ...jwt, ULLAGE_AUTH_JWKS_URL: url })
  if (taken) expect(read().auth.jwt?.jwksUrl.href).toBe(url)
  else expect(read).toThrow(/^ULLAGE_AUTH_JWKS_URL: expected/)
})

test('requests are limited where one is asked who one is, unless a setting says otherwise', () => {
  expect(readApiConfig(least).auth.perMinute).toBe(6_000)
  expect(readApiConfig({ ...least, ULLAGE_RATE_LIMIT: '0' }).auth.perMinute).toBeUndefined()
  expect(readApiConfig({ ...open, ULLAGE_RATE_LIMIT: '10' }).auth.perMinute).toBe(10)
  expect(() => readApiConfig({ ...least, ULLAGE_RATE_LIMIT: 'many' })).toThrow(/^ULLAGE_RATE_LIMIT: /)
})

test('TLS has a certificate and a key, or there is none', () => {
  const files = {
    ULLAGE_TLS_CERT_FILE: '/tls.crt',
    ULLAGE_TLS_KEY_FILE: '/tls.key',
    ULLAGE_TLS_CLIENT_CA_FILE: '/ca.crt',
  }
  expect(readApiConfig(least).tls).toBeUndefined()
  expect(readApiConfig({ ...least, ...files }).tls).toEqual({
    certFile: '/tls.crt',
    keyFile: '/tls.key',
    clientCaFile: '/ca.crt',
  })
  for (const name of ['ULLAGE_TLS_CERT_FILE', 'ULLAGE_TLS_KEY_FILE']) {
    expect(() => readApiConfig({ ...least, ...files, [name]: undefined })).toThrow(`${name} is not set; TLS needs`)
  }
})
