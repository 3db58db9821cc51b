import { expect, test } from 'vitest'
import { readApiConfig } from './api-config.ts'

const least = {
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

test('what has to be set is named', () => {
  expect(() => readApiConfig({})).toThrow(/^ULLAGE_REDIS_URL is not set; .*\nULLAGE_STATE_DIR is not set; /)
  expect(() => readApiConfig({ ...least, ULLAGE_ARTIFACTS_DIR: undefined })).toThrow(/^ULLAGE_ARTIFACTS_DIR is not set/)
})
