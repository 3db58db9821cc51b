import { expect, test } from 'vitest'
import { renewLock } from './renew-lock.ts'

const OOM = "OOM command not allowed when used memory > 'maxmemory'."

/** A job whose lock is asked for so often, with these answers; the last one stands. */
function jobOf(...answers: (number | Error)[]) {
  let asked = 0
  return {
    id: 'one',
    get asked() {
      return asked
    },
    async extendLock() {
      const answer = answers[Math.min(asked, answers.length - 1)] as number | Error
      asked++
      if (answer instanceof Error) throw answer
      return answer
    },
  }
}

function renew(job: ReturnType<typeof jobOf>, signal = new AbortController().signal) {
  const warned: unknown[] = []
  const log = { warn: (...what: unknown[]) => void warned.push(what) }
  return { warned, done: renewLock(job, { token: 't', lockMs: 1_000, signal, log }) }
}

test('a lock that is renewed is ours', async () => {
  const job = jobOf(1)
  await renew(job).done
  expect(job.asked).toBe(1)
})

test('while Redis takes no writes it is waited for, which is said once', async () => {
  const job = jobOf(new Error(OOM), new Error(OOM), 1)
  const { done, warned } = renew(job)
  await done
  expect([job.asked, warned.length]).toEqual([3, 1])
})

test.each([
  ['gone meanwhile', [new Error(OOM), 0]],
  ['gone', [0]],
  ['no longer to be asked for', [new Error('Connection is closed.')]],
])('a lock that is %s is lost', async (_, answers) => {
  await expect(renew(jobOf(...answers)).done).rejects.toThrow(
    expect.objectContaining({ failure: expect.objectContaining({ code: 'LOCK_LOST' }) }),
  )
})

test('who waits hears that it is to end', async () => {
  const stop = new AbortController()
  const { done } = renew(jobOf(new Error(OOM)), stop.signal)
  setTimeout(() => stop.abort('cancelled'), 50)
  await expect(done).rejects.toBe('cancelled')
})
