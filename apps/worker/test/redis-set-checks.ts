import { dumpResource } from '@ullage/dump-job'
import type { LabRedisSet } from '@ullage/lab'
import { expect } from 'vitest'
import { isAlive, type Running, Service, until } from './start-service.ts'

/** API, queue and worker as they are, on a Redis of several servers; only the engine is a double. */
export const DOUBLE = new URL('./double-worker.ts', import.meta.url)

export interface OnRedisSet {
  readonly set: LabRedisSet
  readonly service: Service
  readonly worker: Running
}

/** Starts both on the servers; `stack` ends them. */
export async function startOn(
  stack: AsyncDisposableStack,
  starting: Promise<LabRedisSet>,
  env: Readonly<Record<string, string>> = {},
): Promise<OnRedisSet> {
  const set = stack.use(await starting)
  const service = stack.use(await Service.start({ redisUrl: set.url, env }))
  service.describeDouble('ok', 'succeed')
  service.describeDouble('ok-2', 'succeed')
  service.describeDouble('hang', 'hang')
  service.describeDouble('away-once', 'unavailable', 'succeed')
  const worker = await service.startWorker({ main: DOUBLE, env: { ULLAGE_CONCURRENCY: '2' } })
  return { set, service, worker }
}

/** From request to artifact, through all that uses Redis: queue, retry, progress, channels, cancel, pages. */
export async function expectWholeWay(service: Service): Promise<void> {
  const dump = await service.dump({ guest: 'ok' })
  expect(await (await service.request(dump.links.events)).text()).toContain('"state":"succeeded"')
  const artifact = await service.request(`${dump.links.self}/artifact`)
  expect(await artifact.text()).toBe('what the double dumps')
  const again = await service.dump({ guest: 'away-once' })
  expect(await service.untilState(again.id, ['succeeded'])).toMatchObject({ attempts: 2 })
  expect((await service.request('/v1/guests/ok/pages')).status).toBe(200)
  const hang = await service.dump({ guest: 'hang' })
  await until('progress is shown', async () => ((await service.show(hang.id)).progress?.done ?? 0) > 10)
  await service.request(hang.links.self, { method: 'DELETE' })
  await service.untilState(hang.id, ['cancelled'])
}

/** A dump runs while `harm` is done; it runs on, and dumps posted after it are made. */
export async function expectGoesOn(service: Service, worker: Running, harm: () => Promise<void>): Promise<void> {
  const running = await service.dump({ guest: 'hang' })
  await until(
    () => `progress is shown: ${worker.log().slice(-4_000)} ${service.api.log().slice(-3_000)}`,
    async () => ((await service.show(running.id)).progress?.done ?? 0) > 10,
  )
  await harm()
  let made = ''
  await until('a dump is accepted', async () => {
    const answer = await service.post({ guest: 'ok-2' })
    if (answer.status === 202) made = dumpResource.parse(await answer.json()).id
    else await answer.body?.cancel()
    return made !== ''
  })
  await service.untilState(made, ['succeeded'])
  const { revision } = await service.show(running.id)
  await until('it is followed again', async () => (await service.show(running.id)).revision > revision)
  expect(isAlive(worker.pid)).toBe(true)
  await service.request(running.links.self, { method: 'DELETE' })
  await service.untilState(running.id, ['cancelled'])
  expect(service.files().filter((file) => file.startsWith('.partial'))).toEqual([])
}
