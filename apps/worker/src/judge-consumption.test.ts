import { expect, test } from 'vitest'
import { type ConsumptionFacts, judgeConsumption } from './judge-consumption.ts'

const fine: ConsumptionFacts = {
  ended: undefined,
  paused: false,
  answeredAt: 0,
  beatAt: 0,
  writeRefusal: undefined,
  waitingSince: undefined,
  running: 0,
}

test.each([
  ['consumes', {}, 1_000, true, true],
  ['has a queue that is read no longer', { ended: 'closed' }, 1_000, false, false],
  ['is paused', { paused: true }, 1_000, true, false],
  ['has not heard of redis for 15 s', {}, 15_000, true, false],
  ['has written no heartbeat for 14 s', { answeredAt: 14_000 }, 14_999, true, true],
  ['has written no heartbeat for 15 s', { answeredAt: 14_000 }, 15_000, true, false],
  ['has written no heartbeat at all', { beatAt: undefined }, 1, true, false],
  ['has a job that waits for 29 s', { waitingSince: 0, answeredAt: 29_000, beatAt: 29_000 }, 29_999, true, true],
  ['has a job that waits for 30 s', { waitingSince: 0, answeredAt: 29_000, beatAt: 29_000 }, 30_000, true, false],
  ['has a job that waits for 5 min', { waitingSince: 0, answeredAt: 299_000 }, 300_000, false, false],
  ['has one that waits, one that runs', { waitingSince: 0, answeredAt: 299_000, running: 1 }, 300_000, true, false],
])('a worker that %s', (_what, facts, now, alive, ready) => {
  expect(judgeConsumption({ ...fine, ...facts }, now)).toMatchObject({ alive, ready })
})

test('why no heartbeat is written is said where Redis says it', () => {
  const facts = { ...fine, answeredAt: 20_000, writeRefusal: 'OOM' }
  expect(judgeConsumption(facts, 20_000).reason).toBe(
    'redis takes no writes (OOM): the heartbeat was not written for 20 s',
  )
  expect(judgeConsumption({ ...fine, beatAt: undefined, writeRefusal: 'OOM' }, 1).reason).toBe(
    'redis takes no writes (OOM): no heartbeat has been written yet',
  )
})
