import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { API_MAIN, childrenOf, isAlive, type Running, Service, until } from './start-service.ts'

/** The whole way from POST to the artifact with a real API, queue and worker; only the engine is a double. */
const DOUBLE = new URL('./double-worker.ts', import.meta.url)

let service: Service
let worker: Running

beforeAll(async () => {
  service = await Service.start()
  for (const name of ['ok', 'ok-2', 'hang', 'hang-2', 'hang-3']) {
    service.describeDouble(name, name.startsWith('ok') ? 'succeed' : 'hang')
  }
  service.describeDouble('crash-once', 'crash', 'succeed')
  service.describeDouble('crash-always', 'crash')
  service.describeDouble('exits', 'exit')
  service.describeDouble('away-once', 'unavailable', 'succeed')
  service.describeDouble('too-old', 'unsupported')
  service.describeDouble('odd', 'odd')
  service.describeDouble('away-then-old', 'unavailable', 'unsupported')
  service.describeDouble('hang-once', 'hang', 'succeed')
  service.describeDouble('hang-once-2', 'hang', 'succeed')
  service.describeDouble('hang-once-3', 'hang', 'succeed')
  service.describeDouble('hangs-the-worker', 'hang')
  service.describeDouble('blocks', 'block')
  writeFileSync(join(service.guestsDir, 'broken.json'), '{')
  writeFileSync(join(service.guestsDir, 'not a guest.json'), '{}')
  worker = await startWorker()
})
afterAll(async () => {
  await service[Symbol.asyncDispose]()
})

function startWorker(env: Record<string, string> = {}): Promise<Running> {
  return service.startWorker({ main: DOUBLE, env: { ULLAGE_CONCURRENCY: '3', ULLAGE_SHUTDOWN_SECONDS: '1', ...env } })
}

async function events(id: string): Promise<{ event: string; data: unknown }[]> {
  const text = await (await service.request(`/v1/dumps/${id}/events`)).text()
  return text
    .split('\n\n')
    .map((block) => ({ event: /^event: (.*)$/m.exec(block)?.[1], data: /^data: (.*)$/m.exec(block)?.[1] }))
    .filter((found): found is { event: string; data: string } => found.event !== undefined)
    .map(({ event, data }) => ({ event, data: JSON.parse(data) }))
}

/** Process id of the dump's process, once it is at work. */
async function runningChild(id: string): Promise<number> {
  await until('the dump is at work', async () => (await service.show(id)).progress !== null)
  const started = worker
    .log()
    .split('\n')
    .findLast((line) => line.includes(id) && line.includes('dump process started'))
  return Number(/"pid":(\d+)/.exec(started ?? '')?.[1])
}

test('the guests of a host are announced, broken ones with their problem', async () => {
  const { items } = z
    .object({ items: z.array(z.looseObject({ id: z.string() })) })
    .parse(await (await service.request('/v1/guests')).json())
  const byId = new Map(items.map((guest) => [guest.id, guest]))
  expect(byId.get('ok')).toMatchObject({ host: 'h1', reachable: true, backend: 'test-double', problem: null })
  expect(byId.get('broken')).toMatchObject({ backend: null, problem: { code: 'INVALID' } })
  expect(byId.has('not a guest')).toBe(false)
})

test('a dump succeeds: events from queued to succeeded, artifact and report as published', async () => {
  const dump = await service.dump({ guest: 'ok', level: 1, compression: 'zlib' })
  const seen = await events(dump.id)
  expect(seen[0]?.event).toBe('state')
  expect(seen.at(-1)).toMatchObject({ event: 'state', data: { state: 'succeeded' } })
  const done = await service.show(dump.id)
  expect(done).toMatchObject({
    state: 'succeeded',
    attempts: 1,
    failure: null,
    progress: null,
    result: { artifact: { file: 'vmcore' } },
  })
  const artifact = await service.request(`/v1/dumps/${dump.id}/artifact`)
  expect(await artifact.text()).toBe('what the double dumps')
  const report = await (await service.request(`/v1/dumps/${dump.id}/report`)).json()
  expect(report).toMatchObject({ artifact: { file: 'vmcore', level: 1, compression: 'zlib' } })
  expect(service.files().sort()).toEqual([`${dump.id}/report.json`, `${dump.id}/vmcore`])
  expect((await service.request(`/v1/dumps/${dump.id}`, { method: 'DELETE' })).status).toBe(204)
  expect(service.files()).toEqual([])
})

test('pages are asked of the worker', async () => {
  const pages = await service.request('/v1/guests/ok/pages')
  expect(pages.status).toBe(200)
  expect(await pages.json()).toMatchObject({ guest: { backend: 'test-double' } })
  const broken = await service.request('/v1/guests/broken/pages')
  expect(broken.status).toBe(502)
})

test('an unknown guest is 404, and a descriptor put there later is found', async () => {
  expect((await service.post({ guest: 'later' })).status).toBe(404)
  service.describeDouble('later', 'succeed')
  await until('the guest is announced', async () => (await service.request('/v1/guests/later')).status === 200)
  const dump = await service.dump({ guest: 'later' })
  await service.untilState(dump.id, ['succeeded'])
})

test.each([
  ['crash-always', 'CHILD_DIED', 2],
  ['exits', 'CHILD_DIED', 2],
  ['too-old', 'UNSUPPORTED', 1],
  ['odd', 'INTERNAL', 1],
])('%s: the dump fails with %s after %i attempts, and leaves nothing', async (guest, code, attempts) => {
  const dump = await service.dump({ guest })
  const failed = await service.untilState(dump.id, ['failed'])
  expect(failed).toMatchObject({ attempts, failure: { code }, result: null })
  expect(service.files().filter((file) => file.includes(dump.id))).toEqual([])
})

test('the last failure of a dump tells what the first one was', async () => {
  const dump = await service.dump({ guest: 'away-then-old' })
  const { failure } = await service.untilState(dump.id, ['failed'])
  const message = 'the double is too old; first attempt: UNAVAILABLE: the double is away'
  expect(failure).toEqual({ code: 'UNSUPPORTED', message })
})

test.each(['crash-once', 'away-once'])('%s: the second attempt succeeds', async (guest) => {
  const dump = await service.dump({ guest })
  expect(await service.untilState(dump.id, ['succeeded'])).toMatchObject({ attempts: 2, failure: null })
})

test('a running dump is cancelled: its process ends, nothing is left, the guest can be dumped again', async () => {
  const dump = await service.dump({ guest: 'hang' })
  const child = await runningChild(dump.id)
  const second = await service.post({ guest: 'hang' })
  expect(second.status).toBe(409)
  expect(await second.json()).toMatchObject({ code: 'DUMP_ACTIVE', dump: dump.links.self })
  const answer = await service.request(dump.links.self, { method: 'DELETE' })
  expect(answer.status).toBe(202)
  const cancelled = await service.untilState(dump.id, ['cancelled'])
  expect(cancelled).toMatchObject({ failure: { code: 'CANCELLED' }, cancelRequested: true })
  expect(isAlive(child)).toBe(false)
  expect(service.files().filter((file) => file.includes(dump.id))).toEqual([])
  const again = await service.dump({ guest: 'hang' })
  await service.request(again.links.self, { method: 'DELETE' })
  await service.untilState(again.id, ['cancelled'])
})

test('progress is passed on while a dump runs', async () => {
  const dump = await service.dump({ guest: 'hang' })
  await until('progress is shown', async () => ((await service.show(dump.id)).progress?.done ?? 0) > 10)
  await service.request(dump.links.self, { method: 'DELETE' })
  await service.untilState(dump.id, ['cancelled'])
  const seen = await events(dump.id)
  expect(seen).toHaveLength(1)
})

test('a queued dump is cancelled at once', async () => {
  const busy = []
  for (const guest of ['hang', 'hang-2', 'hang-3']) busy.push(await service.dump({ guest }))
  for (const { id } of busy) await service.untilState(id, ['running'])
  const waiting = await service.dump({ guest: 'ok' })
  const answer = await service.request(waiting.links.self, { method: 'DELETE' })
  expect(answer.status).toBe(200)
  expect(await answer.json()).toMatchObject({ state: 'cancelled' })
  for (const { links } of busy) await service.request(links.self, { method: 'DELETE' })
  for (const { id } of busy) await service.untilState(id, ['cancelled'])
})

test('kill -9 of the dump process: the job is tried again, nothing of the first attempt is left', async () => {
  const dump = await service.dump({ guest: 'hang-once' })
  process.kill(await runningChild(dump.id), 'SIGKILL')
  expect(await service.untilState(dump.id, ['succeeded'])).toMatchObject({ attempts: 2 })
  expect(service.files().filter((file) => file.startsWith('.partial'))).toEqual([])
})

test('kill -9 of the worker: its dumps die with it, and the next worker makes them again', async () => {
  const dump = await service.dump({ guest: 'hang-once-2' })
  const blocked = await service.dump({ guest: 'blocks' })
  const children = [await runningChild(dump.id), await runningChild(blocked.id)]
  await worker.kill('SIGKILL')
  // Also the one whose event loop stands still.
  await until('the dump processes are gone', () => !children.some(isAlive), 2_000)
  service.describeDouble('blocks', 'succeed')
  worker = await startWorker()
  expect(service.files().filter((file) => file.startsWith('.partial'))).toEqual([])
  expect(await service.untilState(dump.id, ['succeeded'])).toMatchObject({ attempts: 2 })
  expect(await service.untilState(blocked.id, ['succeeded'])).toMatchObject({ attempts: 2 })
})

test('a dump whose worker dies again and again fails with a reason', async () => {
  const dump = await service.dump({ guest: 'hangs-the-worker' })
  for (let death = 0; death < 2; death++) {
    await until('it is begun', async () => {
      const { state, attempts } = await service.show(dump.id)
      return state === 'running' && attempts === death + 1
    })
    await runningChild(dump.id)
    await worker.kill('SIGKILL', 'group')
    worker = await startWorker()
  }
  const failed = await service.untilState(dump.id, ['failed'])
  expect(failed.failure).toMatchObject({ code: 'WORKER_LOST' })
})

test('SIGTERM: a running dump goes back into the queue, and the next worker makes it', async () => {
  const dump = await service.dump({ guest: 'hang-once-3' })
  const child = await runningChild(dump.id)
  await worker.kill('SIGTERM')
  expect(worker.process.exitCode).toBe(0)
  expect(isAlive(child)).toBe(false)
  await service.untilState(dump.id, ['queued'])
  const unreachable = await service.post({ guest: 'ok' })
  expect(unreachable.status).toBe(503)
  expect(await unreachable.json()).toMatchObject({ code: 'HOST_UNREACHABLE' })
  worker = await startWorker()
  await service.untilState(dump.id, ['succeeded'])
})

test('a worker that ends leaves no process and no partial artifact behind', async () => {
  expect(childrenOf(worker.pid)).toEqual([])
  expect(service.files().filter((file) => file.startsWith('.partial'))).toEqual([])
})

test('a second worker of the same host is refused', async () => {
  const second = service.start(DOUBLE, { ULLAGE_HOST_ID: 'h1' })
  await until('it ends', () => second.process.exitCode !== null)
  expect(second.process.exitCode).toBe(2)
  expect(second.log()).toContain('expected to be the only worker')
})

test('kill -9 of the API: the next one has what was accepted, and goes on following it', async () => {
  const done = await service.dump({ guest: 'ok-2' })
  await service.untilState(done.id, ['succeeded'])
  const before = await service.show(done.id)
  const running = await service.dump({ guest: 'hang' })
  await runningChild(running.id)
  await service.api.kill('SIGKILL')
  await service.startApi()
  expect(await service.show(done.id)).toEqual(before)
  const { revision } = await service.show(running.id)
  await until('it is followed again', async () => (await service.show(running.id)).revision > revision)
  expect((await service.post({ guest: 'hang' })).status).toBe(409)
  await service.request(running.links.self, { method: 'DELETE' })
  await service.untilState(running.id, ['cancelled'])
})

test('a second API with the same journal is refused', async () => {
  const second = service.start(API_MAIN, { ULLAGE_API_LISTEN: '127.0.0.1:0' })
  await until('it ends', () => second.process.exitCode !== null)
  expect(second.process.exitCode).toBe(2)
  expect(second.log()).toContain('expected to be the only API')
})

test('Redis dies and comes back: what ran goes on or is made again, what is posted then is made', async () => {
  service.describeDouble('hang-once-5', 'hang', 'succeed')
  await until('announced', async () => (await service.request('/v1/guests/hang-once-5')).status === 200)
  const dump = await service.dump({ guest: 'hang-once-5' })
  await runningChild(dump.id)
  await service.restartRedis()
  await until('the API is ready again', async () => (await service.request('/readyz')).status === 200)
  const posted = await service.dump({ guest: 'ok' })
  await service.untilState(posted.id, ['succeeded'])
  const { revision } = await service.show(dump.id)
  await until('it is followed again', async () => (await service.show(dump.id)).revision > revision)
  await service.request(dump.links.self, { method: 'DELETE' })
  await service.untilState(dump.id, ['cancelled', 'succeeded'])
})

test('a Redis that may drop jobs is refused', async () => {
  const redis = new Redis({ path: service.redis.socketPath })
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  try {
    const state = join(service.folder, 'other-state')
    const refused = service.start(DOUBLE, { ULLAGE_HOST_ID: 'h9', ULLAGE_STATE_DIR: state })
    await until('it ends', () => refused.process.exitCode !== null)
    expect(refused.process.exitCode).toBe(2)
    expect(refused.log()).toContain('maxmemory-policy noeviction, found allkeys-lru')
  } finally {
    await redis.config('SET', 'maxmemory-policy', 'noeviction')
    redis.disconnect()
  }
})

test('a job that is not ours fails with a reason, and stops nobody', async () => {
  const redis = new Redis({ path: service.redis.socketPath, maxRetriesPerRequest: null })
  const queue = new Queue('dump-{h1}', { connection: redis, prefix: 'ullage-jobs' })
  const job = await queue.add('dump', { what: '../../etc/passwd' })
  await until('it failed', async () => (await job.getState()) === 'failed')
  const reason = (await queue.getJob(job.id ?? ''))?.failedReason
  expect(reason).toMatch(/^JOB_INVALID: /)
  await queue.close()
  redis.disconnect()
})

test('a lost lock ends the attempt, and another one makes the dump', async () => {
  service.describeDouble('hang-once-4', 'hang', 'succeed')
  await until('announced', async () => (await service.request('/v1/guests/hang-once-4')).status === 200)
  const dump = await service.dump({ guest: 'hang-once-4' })
  const child = await runningChild(dump.id)
  const redis = new Redis({ path: service.redis.socketPath })
  await redis.del(`ullage-jobs:dump-{h1}:${dump.id}:lock`)
  redis.disconnect()
  await until('the attempt ends', () => !isAlive(child), 20_000)
  expect(await service.untilState(dump.id, ['succeeded'])).toMatchObject({ attempts: 2 })
})

test('nothing in job data or logs holds the address of Redis or a path of a client', () => {
  expect(worker.log()).not.toContain(service.redis.url)
  expect(readFileSync(`/proc/${worker.pid}/environ`, 'utf8')).toContain('ULLAGE_REDIS_URL')
})
