import { kindOf } from '@ullage/lab'
import { expect, test } from 'vitest'
import { until } from './start-service.ts'
import { expectWhole, onS3, proxy, server, service, start, startAnotherWorker, worker } from './storage-service.ts'

/** What a dump's state says, and what is left, when the S3 server does not do as it should. */

test('S3 answers 500 to every part: three attempts, then STORE_UNAVAILABLE, and nothing is left', async () => {
  await start(onS3())
  proxy.choose = ({ url }) => (kindOf(url) === 'part' ? 'answer500' : 'pass')
  const posted = await service.dump({ guest: 'kept' })
  const failed = await service.untilState(posted.id, ['failed'], 120_000)
  expect(failed).toMatchObject({ attempts: 3, failure: { code: 'STORE_UNAVAILABLE' }, result: null })
  expect((await service.request(`${failed.links.self}/artifact`)).status).toBe(409)
  proxy.reset()
  expect(await server.objects('bucket')).toEqual([])
})

test('S3 hangs while the worker is killed: the next one removes the pieces and publishes the dump, once', async () => {
  await start(onS3())
  proxy.choose = ({ url }) => (kindOf(url) === 'part' ? 'hang' : 'pass')
  const posted = await service.dump({ guest: 'kept' })
  await until('a part hangs', () => proxy.seen.some(({ fault }) => fault === 'hang'))
  await worker.kill('SIGKILL')
  proxy.reset()
  await startAnotherWorker()
  const dump = await service.untilState(posted.id, ['succeeded'], 90_000)
  await expectWhole(dump)
  const left = await server.objects('bucket')
  expect(left.filter((name) => name.includes('/hosts/'))).toHaveLength(1)
  expect(left.filter((name) => name.includes('/dumps/'))).toHaveLength(1)
  expect(proxy.seen.some(({ method, url }) => method === 'DELETE' && url.includes('uploadId='))).toBe(true)
})

test('S3 that is away is said to be so to who downloads; what is cut off is asked for again', async () => {
  await start(onS3())
  const posted = await service.dump({ guest: 'kept' })
  const dump = await service.untilState(posted.id, ['succeeded'])
  proxy.reset()
  proxy.choose = ({ method, url, nth }) =>
    method === 'GET' && kindOf(url) === 'artifact' && nth === 2 ? 'cutAnswer' : 'pass'
  await expectWhole(dump)
  proxy.choose = () => 'answer500'
  const answer = await service.request(`${dump.links.self}/artifact`)
  expect(answer.status).toBe(503)
  expect(await answer.json()).toMatchObject({ code: 'STORE_UNAVAILABLE' })
})
