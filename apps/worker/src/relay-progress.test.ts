import type { DumpProgress } from '@ullage/dump-job'
import { expect, test } from 'vitest'
import { relayProgress } from './relay-progress.ts'

const at = (stage: DumpProgress['stage'], done: number) => ({ stage, done, total: 10 })

/** Test double: a job that takes a turn of the event loop to be told of progress. */
function jobDouble() {
  const told: object[] = []
  const updateProgress = async (progress: object | string | boolean | number) => {
    await new Promise(setImmediate)
    told.push(Object(progress))
  }
  return { told, job: { id: 'a', updateProgress } }
}
const log = { warn: () => undefined }

test('the first and the last of a stage are passed on without waiting', async () => {
  const { told, job } = jobDouble()
  const relay = relayProgress(job, () => undefined, log)
  for (const done of [0, 3, 7]) relay.report(at('classify', done))
  await expect.poll(() => told).toEqual([at('classify', 0)])
  relay.report(at('classify', 10))
  await expect.poll(() => told).toHaveLength(2)
  relay.report(at('write', 1))
  await expect.poll(() => told).toEqual([at('classify', 0), at('classify', 10), at('write', 1)])
  relay.report(at('write', 2))
  await relay.end()
  expect(told.at(-1)).toEqual(at('write', 2))
})

test('the end waits for what is under way and passes on what waits for it', async () => {
  const { told, job } = jobDouble()
  const relay = relayProgress(job, () => undefined, log)
  relay.report(at('write', 0))
  relay.report(at('write', 4))
  await relay.end()
  expect(told).toEqual([at('write', 0), at('write', 4)])
})

test('the end does not wait for a queue that is away', async () => {
  const relay = relayProgress({ id: 'a', updateProgress: () => new Promise(() => undefined) }, () => undefined, log)
  relay.report(at('write', 0))
  await relay.end()
})
