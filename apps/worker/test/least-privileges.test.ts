import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bootGuest, type LabGuest } from '@ullage/lab'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { API_MAIN, type Running, Service, until } from './start-service.ts'

/** The service with no more privileges than its systemd units leave it, on a real guest. */
const NOBODY = 65_534

let guest: LabGuest
let service: Service
let worker: Running

beforeAll(async () => {
  guest = await bootGuest({ era: 'bookworm', memMiB: 192 })
  service = await Service.start()
  service.describe('web-1', { backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } })
  worker = await service.startWorker({ launcher: ['setpriv', ...boundsOf('ullage-worker')] })
})
afterAll(async () => {
  await service?.[Symbol.asyncDispose]()
  await guest?.[Symbol.asyncDispose]()
})

/** What the unit leaves a process, as options of setpriv. */
function boundsOf(unit: string): string[] {
  const text = readFileSync(new URL(`../../../infra/deploy/systemd/${unit}.service`, import.meta.url), 'utf8')
  const line = /^CapabilityBoundingSet=(.*)$/m.exec(text)?.[1]
  if (line === undefined) throw new Error(`${unit}.service bounds no capabilities`)
  const kept = line.split(' ').filter(Boolean)
  const names = kept.map((name) => `,+${name.replace(/^CAP_/, '').toLowerCase()}`)
  return ['--bounding-set', `-all${names.join('')}`, '--inh-caps', '-all', '--no-new-privs']
}

const statusOf = (pid: number, name: string) =>
  new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]

test('a worker with the capabilities of its unit alone dumps a guest of another user’s, paused meanwhile', async () => {
  expect(statusOf(worker.pid, 'CapEff')).toBe(statusOf(worker.pid, 'CapBnd'))
  expect(BigInt(`0x${statusOf(worker.pid, 'CapEff')}`)).toBeLessThan(2n ** 41n - 1n)
  chownSync(guest.qmpSocket, NOBODY, NOBODY)
  chmodSync(guest.qmpSocket, 0o600)
  const { id } = await service.dump({ guest: 'web-1' })
  await until(
    () => `the dump has ended: ${worker.log()}`,
    async () => (await service.show(id)).finishedAt !== null,
    90_000,
  )
  expect(await service.show(id)).toMatchObject({ state: 'succeeded', failure: null })
  expect(await guest.status()).toBe('running')
})

test('an API that is nobody, without any capability, accepts and serves', async () => {
  const stateDir = join(service.folder, 'nobody')
  const artifactsDir = join(service.folder, 'nobody-artifacts')
  for (const folder of [stateDir, artifactsDir]) {
    mkdirSync(folder)
    chownSync(folder, NOBODY, NOBODY)
  }
  for (const folder of [service.folder, dirname(service.redis.socketPath)]) chmodSync(folder, 0o755)
  chmodSync(service.redis.socketPath, 0o777)
  const who = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups']
  const env = { ULLAGE_API_LISTEN: '127.0.0.1:0', ULLAGE_STATE_DIR: stateDir, ULLAGE_ARTIFACTS_DIR: artifactsDir }
  const api = service.start(API_MAIN, env, ['setpriv', ...who, ...boundsOf('ullage-api')])
  await until(
    () => `the API listens: ${api.log()}`,
    () => /"url":"([^"]+)"/.test(api.log()),
  )
  expect([statusOf(api.pid, 'Uid'), statusOf(api.pid, 'CapEff')]).toEqual([String(NOBODY), '0000000000000000'])
  const url = /"url":"([^"]+)"/.exec(api.log())?.[1]
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  expect(await (await fetch(`${url}/v1/guests`)).json()).toMatchObject({ items: [{ id: 'web-1' }] })
})
