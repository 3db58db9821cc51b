import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test, vi } from 'vitest'
import { api, reportOf } from '../test/api-under-test.ts'
import { FollowJobs } from './follow-jobs.ts'
import { ApiProblem } from './problem.ts'

test('what was accepted while the queue was away is queued when it is back', async () => {
  api.queue.away = true
  const answer = await api.post({ guest: 'web-1' })
  expect(answer.statusCode).toBe(202)
  expect(api.queue.jobs.size).toBe(0)
  api.queue.away = false
  await api.follow.sweep()
  expect([...api.queue.jobs.keys()]).toEqual([answer.json().id])
})

test('that the queue of a host takes no writes is logged when it begins and when it is over', async () => {
  const lines: string[] = []
  const log = pino({ base: null }, { write: (line: string) => void lines.push(line) })
  const { journal, queue, published } = api
  const follow = new FollowJobs({ journal, queue, published, log })
  const add = vi.spyOn(queue, 'add')
  add.mockRejectedValue(
    new ApiProblem('QUEUE_UNREACHABLE', 'redis did not answer in time', {
      cause: new Error("OOM command not allowed when used memory > 'maxmemory'."),
    }),
  )
  await api.post({ guest: 'web-1' })
  for (let each = 0; each < 3; each++) await follow.sweep()
  add.mockRestore()
  for (let each = 0; each < 2; each++) await follow.sweep()
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 40, on: 'h1', code: 'OOM', msg: expect.stringContaining('its dumps wait') },
    { level: 30, on: 'h1', msg: expect.stringContaining('again') },
  ])
})

test('a queue that forgot: what no worker had is queued again, what one had is lost', async () => {
  const waiting = (await api.post({ guest: 'web-1' })).json()
  const begun = (await api.post({ guest: 'web-2' })).json()
  api.queue.set(begun.id, { state: 'running', attempts: 1, startedMs: 1_000 })
  await api.follow.sweep()
  api.queue.jobs.clear()
  await api.follow.sweep()
  expect([...api.queue.jobs.keys()]).toEqual([waiting.id])
  expect((await api.app.inject(begun.links.self)).json()).toMatchObject({ state: 'lost', failure: { code: 'LOST' } })
  expect((await api.app.inject(waiting.links.self)).json()).toMatchObject({ state: 'queued' })
})

test('a dump that the queue forgot after it was published has succeeded', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  api.queue.set(dump.id, { state: 'running', attempts: 1, startedMs: 1_000 })
  await api.follow.sweep()
  mkdirSync(join(api.folder, dump.id))
  writeFileSync(join(api.folder, dump.id, 'report.json'), JSON.stringify(reportOf(3, 'a'.repeat(64))))
  api.queue.jobs.clear()
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'succeeded', failure: null })
})

test('a dump whose attempt failed is queued with the reason, then failed for good', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  const failure = { code: 'CHILD_DIED', message: 'it died' }
  api.queue.set(dump.id, { state: 'queued', attempts: 1, startedMs: 1_000, failure })
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'queued', attempts: 1, failure })
  api.queue.set(dump.id, { state: 'failed', attempts: 2, finishedMs: 9_000 })
  await api.follow.sweep()
  const shown = (await api.app.inject(dump.links.self)).json()
  expect(shown).toMatchObject({ state: 'failed', attempts: 2, failure, finishedAt: new Date(9_000).toISOString() })
  const artifact = await api.app.inject(`${dump.links.self}/artifact`)
  expect(artifact.json()).toMatchObject({ status: 409, code: 'NO_ARTIFACT', failure })
})

test('DELETE cancels a queued dump at once', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  const answer = await api.app.inject({ method: 'DELETE', url: dump.links.self })
  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toMatchObject({ state: 'cancelled', cancelRequested: true })
  expect((await api.post({ guest: 'web-1' })).statusCode).toBe(202)
})

test('a dump cancelled between two attempts was cancelled, whatever the first one failed of', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  const failure = { code: 'CHILD_DIED', message: 'it died' }
  api.queue.set(dump.id, { state: 'queued', attempts: 1, startedMs: 1_000, failure })
  await api.follow.sweep()
  const answer = await api.app.inject({ method: 'DELETE', url: dump.links.self })
  expect(answer.json()).toMatchObject({ state: 'cancelled', failure: { code: 'CANCELLED' } })
})

test('a dump that succeeded shows no stale progress', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  const progress = { stage: 'classify' as const, done: 0, total: 5 }
  api.queue.set(dump.id, { state: 'running', attempts: 1, startedMs: 1_000, progress })
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'running', progress })
  const { artifact } = reportOf(3, 'a'.repeat(64))
  const result = { artifact, pausedMs: 5, alarm: false, warnings: [], totalMs: 50 }
  api.queue.set(dump.id, { state: 'succeeded', finishedMs: 2_000, result })
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'succeeded', progress: null })
})

test('DELETE asks the worker of a running dump to end it, and shows that', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  api.queue.set(dump.id, { state: 'running', attempts: 1, startedMs: 1_000 })
  const answer = await api.app.inject({ method: 'DELETE', url: dump.links.self })
  expect(answer.statusCode).toBe(202)
  expect(answer.json()).toMatchObject({ cancelRequested: true })
  expect(api.queue.cancelled).toEqual([dump.id])
  api.queue.set(dump.id, {
    state: 'cancelled',
    finishedMs: 3_000,
    failure: { code: 'CANCELLED', message: 'cancelled' },
  })
  await api.follow.look(dump.id)
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'cancelled' })
})

test('a dump cancelled while the queue is away is cancelled when it is back, and never queued', async () => {
  api.queue.away = true
  const dump = (await api.post({ guest: 'web-1' })).json()
  expect((await api.app.inject({ method: 'DELETE', url: dump.links.self })).statusCode).toBe(202)
  api.queue.away = false
  await api.follow.sweep()
  expect((await api.app.inject(dump.links.self)).json()).toMatchObject({ state: 'cancelled' })
  expect(api.queue.jobs.size).toBe(0)
})

test('DELETE of a finished dump removes artifact and record', async () => {
  const { id } = await api.publish(Buffer.from('vmcore'))
  expect((await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}` })).statusCode).toBe(204)
  expect((await api.app.inject(`/v1/dumps/${id}`)).statusCode).toBe(404)
  const { readdirSync } = process.getBuiltinModule('node:fs')
  expect(readdirSync(api.folder)).toEqual([])
})

test('a second DELETE: of a running dump the same again, of a removed one 404', async () => {
  const dump = (await api.post({ guest: 'web-1' })).json()
  api.queue.set(dump.id, { state: 'running', attempts: 1, startedMs: 1_000 })
  const remove = () => api.app.inject({ method: 'DELETE', url: dump.links.self })
  expect((await remove()).statusCode).toBe(202)
  expect((await remove()).statusCode).toBe(202)
  api.queue.set(dump.id, { state: 'cancelled', finishedMs: 3_000 })
  await api.follow.look(dump.id)
  expect((await remove()).statusCode).toBe(204)
  expect((await remove()).json()).toMatchObject({ status: 404, code: 'DUMP_UNKNOWN' })
  expect(api.journal.history.after(dump.id, 0)).toEqual([])
})

test('an artifact that cannot be removed is an error, and its record is kept until it is', async () => {
  const { id } = await api.publish(Buffer.from('vmcore'))
  const { renameSync } = process.getBuiltinModule('node:fs')
  renameSync(api.folder, `${api.folder}.away`)
  writeFileSync(api.folder, 'no folder')
  const remove = () => api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}` })
  const refused = await remove()
  expect(refused.json()).toMatchObject({ status: 500, code: 'ARTIFACT_UNREMOVABLE' })
  expect(refused.payload).not.toContain(api.folder)
  expect((await api.app.inject(`/v1/dumps/${id}`)).json()).toMatchObject({ state: 'succeeded' })
  rmSync(api.folder)
  renameSync(`${api.folder}.away`, api.folder)
  // As an earlier removal leaves it that came half way.
  mkdirSync(join(api.folder, `.removed-${id}`, 'x'), { recursive: true })
  expect((await remove()).statusCode).toBe(204)
  expect((await api.app.inject(`/v1/dumps/${id}`)).statusCode).toBe(404)
  const { readdirSync } = process.getBuiltinModule('node:fs')
  expect(readdirSync(api.folder)).toEqual([])
})

test('a finished dump is removed once the queue that knows it answers', async () => {
  const { id } = await api.publish(Buffer.from('vmcore'))
  const { forget } = api.queue
  api.queue.forget = async () => {
    throw new ApiProblem('QUEUE_UNREACHABLE', 'the double is away')
  }
  expect((await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}` })).statusCode).toBe(503)
  expect((await api.app.inject(`/v1/dumps/${id}/artifact`)).statusCode).toBe(410)
  api.queue.forget = forget
  expect((await api.app.inject({ method: 'DELETE', url: `/v1/dumps/${id}` })).statusCode).toBe(204)
})
