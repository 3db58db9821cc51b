import { expect, test } from 'vitest'
import { answerBacking } from './answer-backing.ts'
import type { BackingRun } from './offline-query.ts'

const within = { start: 0, count: 10 }

async function all(runs: AsyncIterable<BackingRun>): Promise<BackingRun[]> {
  const found: BackingRun[] = []
  for await (const run of runs) found.push(run)
  return found
}

test('joins neighbours of one state', async () => {
  const runs = answerBacking({ within }, function* () {
    yield { start: 0, count: 2, state: 'backed' }
    yield { start: 2, count: 3, state: 'backed' }
    yield { start: 5, count: 4, state: 'unbacked' }
    yield { start: 9, count: 1, state: 'backed' }
  })
  expect(await all(runs)).toEqual([
    { start: 0, count: 5, state: 'backed' },
    { start: 5, count: 4, state: 'unbacked' },
    { start: 9, count: 1, state: 'backed' },
  ])
})

test('asks nothing for what cannot be asked', async () => {
  const never = (): never => {
    throw new Error('asked')
  }
  await expect(all(answerBacking({ within: { start: 0, count: 0 } }, never))).rejects.toThrow(RangeError)
  await expect(all(answerBacking({ within, skip: [{ start: 3, count: 0 }] }, never))).rejects.toThrow(RangeError)
  await expect(all(answerBacking({ within, signal: AbortSignal.abort() }, never))).rejects.toMatchObject({
    name: 'AbortError',
  })
})

test('is aborted by an event, however long the answer, and closes the source', async () => {
  let closed = false
  function* endless(): Generator<BackingRun> {
    try {
      for (let start = 0; ; start += 2) {
        yield { start, count: 1, state: 'backed' }
        yield { start: start + 1, count: 1, state: 'unbacked' }
      }
    } finally {
      closed = true
    }
  }
  const aborted = new AbortController()
  setTimeout(() => aborted.abort(), 30)
  let runs = 0
  const counting = async () => {
    for await (const run of answerBacking({ within, signal: aborted.signal }, endless)) runs += run.count
  }
  await expect(counting()).rejects.toMatchObject({ name: 'AbortError' })
  expect(runs).toBeGreaterThan(0)
  expect(closed).toBe(true)
})
