import { expect, test, vi } from 'vitest'
import { readWorkerConfig, WorkerConfigError } from './worker-config.ts'

const os = vi.hoisted(() => ({ hostname: 'web-1.example.org' }))
vi.mock(import('node:os'), async (original) => ({ ...(await original()), hostname: () => os.hostname }))

const least = {
  ULLAGE_REDIS_URL: 'unix:///run/r.sock',
  ULLAGE_HOST_ID: 'h1',
  ULLAGE_GUESTS_DIR: '/etc/ullage/guests',
  ULLAGE_ARTIFACTS_DIR: '/srv/dumps',
  ULLAGE_STATE_DIR: '/run/ullage',
}

test('what is not set has a default', () => {
  const { store, ...config } = readWorkerConfig(least)
  expect(store.place).toEqual({ kind: 'folder', folder: '/srv/dumps' })
  expect(config).toEqual({
    redis: { path: '/run/r.sock', db: 0 },
    host: 'h1',
    guestsDir: '/etc/ullage/guests',
    stateDir: '/run/ullage',
    spoolDir: '/run/ullage/spool',
    locksDir: '/srv/dumps/.locks',
    guardianScope: 'session',
    concurrency: 1,
    threads: undefined,
    memoryBytes: undefined,
    keepFreeBytes: 1_073_741_824,
    rememberedMs: 2_592_000_000,
    lockMs: 30_000,
    silenceMs: 600_000,
    shutdownMs: 20_000,
    listen: undefined,
    tracesEndpoint: undefined,
    logLevel: 'info',
  })
})

test('a service of systemd guards its guests from outside its own cgroup, unless told otherwise', () => {
  const service = { ...least, INVOCATION_ID: '8d2c' }
  expect(readWorkerConfig(service).guardianScope).toBe('systemd')
  expect(readWorkerConfig({ ...service, ULLAGE_GUARDIAN_SCOPE: 'session' }).guardianScope).toBe('session')
})

test('every wrong setting is named, and no value is repeated', () => {
  const wrong = {
    ...least,
    ULLAGE_REDIS_URL: 'redis://:secret@',
    ULLAGE_CONCURRENCY: 'many',
    ULLAGE_GUESTS_DIR: undefined,
  }
  expect(() => readWorkerConfig(wrong)).toThrow(
    /^ULLAGE_REDIS_URL: expected redis:.*\nULLAGE_GUESTS_DIR is not set; .*\nULLAGE_CONCURRENCY: /,
  )
  expect(() => readWorkerConfig(wrong)).not.toThrow(/secret/)
})

test('the host name is the id of a host that has none set, and is refused with what to do when it cannot be one', () => {
  const unnamed = { ...least, ULLAGE_HOST_ID: undefined }
  expect(readWorkerConfig(unnamed).host).toBe('web-1.example.org')
  os.hostname = 'build_host'
  expect(() => readWorkerConfig(unnamed)).toThrow(WorkerConfigError)
  expect(() => readWorkerConfig(unnamed)).toThrow(
    /^ULLAGE_HOST_ID is not set, and the host name "build_host" cannot be used instead; expected a host id: .*: set ULLAGE_HOST_ID$/,
  )
})
