import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dumpResource } from '@ullage/dump-job'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { API_MAIN, Service, until } from './start-service.ts'

const DOUBLE = new URL('./double-worker.ts', import.meta.url)

/** A key as an operator makes one. */
function makeKey(...args: string[]): { key: string; entry: string } {
  const argv = ['--conditions=@ullage/source', fileURLToPath(API_MAIN), 'make-key', ...args]
  const [key = '', entry = ''] = execFileSync(process.execPath, argv, { encoding: 'utf8', stdio: 'pipe' }).split('\n')
  return { key, entry }
}

/** What is looked at of answers: of lists their items, of a dump its state. */
const answer = z.looseObject({ items: z.array(z.unknown()).default([]), state: z.string().optional() })

/** The descriptor of a guest of the engine double. */
const double = (tenant: string, { folder }: Service) => {
  return { backend: 'test-double', tenant, attempts: ['succeed'], counter: join(folder, 'attempts') }
}

test('a tenant dumps its guest over a real queue, another one sees nothing of it, and all of it is written down', async () => {
  await using service = await Service.start()
  await service.api.kill('SIGTERM')
  const scopes = 'dumps:write,dumps:read,guests:read'
  const acme = makeKey('--id', 'acme-ci', '--scopes', scopes, '--tenant', 'acme')
  const other = makeKey('--id', 'other-ci', '--scopes', scopes, '--tenant', 'other')
  const keysFile = join(service.folder, 'keys.json')
  writeFileSync(keysFile, `{"keys":[${acme.entry},${other.entry}]}`, { mode: 0o600 })
  const audit = join(service.folder, 'audit.jsonl')
  const api = service.start(API_MAIN, {
    ULLAGE_API_LISTEN: '127.0.0.1:0',
    ULLAGE_AUTH_KEYS_FILE: keysFile,
    ULLAGE_AUDIT_FILE: audit,
  })
  const address = () => /"url":"([^"]+)"/.exec(api.log())?.[1]
  await until(
    () => `the API listens: ${api.log()}`,
    () => address() !== undefined,
  )
  const ask = (path: string, { key }: { key: string }, init: RequestInit = {}) =>
    fetch(`${address()}${path}`, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } })
  const json = async (path: string, of: { key: string }) => answer.parse(await (await ask(path, of)).json())

  service.describe('web-1', double('acme', service))
  service.describe('db-1', double('other', service))
  await service.startWorker({ main: DOUBLE })
  await until('the guests are announced', async () => (await json('/v1/guests', acme)).items.length === 1)
  expect((await json('/v1/guests', acme)).items).toMatchObject([{ id: 'web-1', tenant: 'acme' }])
  expect((await json('/v1/hosts', other)).items).toEqual([{ host: 'h1', reachable: true, guests: ['db-1'] }])

  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"guest":"web-1"}' }
  expect((await ask('/v1/dumps', other, post)).status).toBe(404)
  const accepted = await ask('/v1/dumps', acme, post)
  expect(accepted.status).toBe(202)
  const { id, links } = dumpResource.parse(await accepted.json())
  await until('the dump has succeeded', async () => (await json(links.self, acme)).state === 'succeeded')
  expect((await ask(`${links.self}/artifact`, acme)).status).toBe(200)
  for (const path of ['', '/artifact', '/report', '/events']) {
    expect((await ask(`${links.self}${path}`, other)).status, `${path}`).toBe(404)
  }
  expect((await ask(links.self, other, { method: 'DELETE' })).status).toBe(404)
  expect((await json('/v1/dumps', other)).items).toEqual([])

  const lines = readFileSync(audit, 'utf8').trim().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ principal: 'key:acme-ci', resource: `dump:${id}`, outcome: 'done', tenant: 'acme' }),
      expect.objectContaining({
        principal: 'key:other-ci',
        resource: `dump:${id}`,
        outcome: 'refused',
        code: 'DUMP_UNKNOWN',
      }),
    ]),
  )
})

test('a guest that changed hands after its dump was accepted is not dumped', async () => {
  await using service = await Service.start()
  service.describe('web-1', double('acme', service))
  const worker = await service.startWorker({ main: DOUBLE })
  await until(
    'the guest is announced',
    async () => answer.parse(await (await service.request('/v1/guests')).json()).items.length === 1,
  )
  process.kill(worker.pid, 'SIGSTOP')
  service.describe('web-1', double('other', service))
  const { id } = await service.dump({ guest: 'web-1' })
  process.kill(worker.pid, 'SIGCONT')
  const { failure } = await service.untilState(id, ['failed'])
  expect(failure).toMatchObject({ code: 'GUEST_NOT_FOUND' })
})
