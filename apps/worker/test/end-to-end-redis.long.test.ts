import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { verifyArtifact } from '@ullage/dump'
import type { DumpResource } from '@ullage/dump-job'
import { bootGuest, type LabGuest, type LabRedisSet, startRedisCluster, startRedisSentinels } from '@ullage/lab'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Service, until } from './start-service.ts'

/** The whole way with nothing doubled, on a Redis of several servers: a real guest, the API, the worker and the engine. */
let guest: LabGuest
let stack = new AsyncDisposableStack()
beforeAll(async () => {
  guest = await bootGuest({ era: 'bookworm', memMiB: 384, balloonMiB: 128, fillMiB: 128 })
})
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]()
})
afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
})

async function startOn(starting: Promise<LabRedisSet>) {
  const set = stack.use(await starting)
  const service = stack.use(await Service.start({ redisUrl: set.url }))
  service.describe('web-1', { backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } })
  // The lock lasts as long as it does where nothing is set; one thread, so that a dump of everything takes its time.
  const worker = await service.startWorker({ env: { ULLAGE_LOCK_SECONDS: '30', ULLAGE_DUMP_THREADS: '1' } })
  return { set, service, worker }
}

/** Follows the dump to its end by its events, and downloads it; `during` is done meanwhile. */
async function expectMade(service: Service, posted: DumpResource, during?: () => Promise<void>): Promise<DumpResource> {
  const answer = await service.request(posted.links.events)
  const [events] = await Promise.all([answer.text(), during?.()])
  expect(events).toContain('"state":"running"')
  const dump = await service.show(posted.id)
  expect(dump).toMatchObject({ state: 'succeeded', failure: null })
  // The last event is the end that is shown.
  expect(JSON.parse(events.trimEnd().split('\ndata: ').at(-1) ?? '')).toMatchObject({ id: dump.id, state: 'succeeded' })

  const download = await service.request(`${dump.links.self}/artifact`)
  expect(download.status).toBe(200)
  const bytes = Buffer.from(await download.arrayBuffer())
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  expect(dump.result?.artifact).toMatchObject({ sha256, bytes: bytes.length })
  const file = join(service.folder, `${dump.id}.vmcore`)
  writeFileSync(file, bytes)
  expect(await verifyArtifact(file)).toMatchObject({ sha256, bytes: bytes.length })
  expect(await guest.status()).toBe('running')
  expect(service.files().filter((name) => name.startsWith('.partial'))).toEqual([])
  return dump
}

test('Sentinel: a dump is made while the master is killed and another one takes its place, and so are those around it', async () => {
  const { set, service, worker } = await startOn(startRedisSentinels())
  await expectMade(service, await service.dump({ guest: 'web-1' }))

  const posted = await service.dump({ guest: 'web-1', level: 0, compression: 'zlib' })
  await expectMade(service, posted, async () => {
    await until(
      () => `progress is shown: ${worker.log().slice(-2_000)}`,
      async () => (await service.show(posted.id)).progress !== null,
      120_000,
    )
    const [master = 0] = await set.masters()
    await set.kill(master)
    expect((await service.show(posted.id)).state).toBe('running')
    await until('there is another master', async () => (await set.masters())[0] !== master, 120_000)
  })

  let after: DumpResource | undefined
  await until('a dump is accepted', async () => {
    after = await service.dump({ guest: 'web-1' }).catch(() => undefined)
    return after !== undefined
  })
  if (after) await expectMade(service, after)
})

test('Cluster: a dump is made over three masters', async () => {
  const { set, service } = await startOn(startRedisCluster())
  expect(await set.masters()).toHaveLength(3)
  await expectMade(service, await service.dump({ guest: 'web-1' }))
  expect((await service.request('/v1/guests/web-1/pages')).status).toBe(200)
})
