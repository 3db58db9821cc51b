import { expect, test } from 'vitest'
import { TakingJobs } from './taking-jobs.ts'

function pausable() {
  let paused = false
  return {
    isPaused: () => paused,
    async pause() {
      paused = true
    },
    async resume() {
      paused = false
    },
  }
}

test('jobs are taken again when the last reason not to has gone', async () => {
  const worker = pausable()
  const taking = new TakingJobs(worker)
  expect(taking.isHeld).toBe(false)
  await taking.hold('drained')
  await taking.hold('redisTakesNoWrites')
  await taking.hold('drained')
  expect([taking.isHeldFor('drained'), worker.isPaused()]).toEqual([true, true])
  taking.release('drained')
  expect([taking.isHeldFor('drained'), taking.isHeld, worker.isPaused()]).toEqual([false, true, true])
  taking.release('redisTakesNoWrites')
  expect([taking.isHeld, worker.isPaused()]).toEqual([false, false])
})
