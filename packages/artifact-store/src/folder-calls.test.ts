import { expect, test } from 'vitest'
import { FolderCalls } from './folder-calls.ts'

/** Calls that are answered when it is told to. */
function asked<T>() {
  const answer = Promise.withResolvers<T>()
  return { ...answer, call: () => answer.promise }
}

const late = { code: 'STORE_UNAVAILABLE', message: 'the folder /dumps did not answer within 0.1 s' }

test('a call is answered, or fails as the file system says', async () => {
  const calls = new FolderCalls('/dumps')
  expect(await calls.ask(async () => 7)).toBe(7)
  await expect(calls.ask(() => Promise.reject(new Error('EIO')))).rejects.toThrow('EIO')
})

test('few calls are under way at once, and others wait for their turn as long as those are answered', async () => {
  const calls = new FolderCalls('/dumps', { mostUnderWay: 2, answerWithinMs: 100 })
  let underWay = 0
  let most = 0
  const slow = async () => {
    most = Math.max(most, ++underWay)
    await new Promise((resolve) => setTimeout(resolve, 40))
    underWay--
    return 'answer'
  }
  const answers = await Promise.all(Array.from({ length: 12 }, () => calls.ask(slow)))
  expect([answers.length, most]).toEqual([12, 2])
})

test('a call that is not answered in time is given up, its answer is put away, and the folder is asked again', async () => {
  const calls = new FolderCalls('/dumps', { mostUnderWay: 1, answerWithinMs: 100 })
  const hung = asked<string>()
  const putAway: string[] = []
  const first = calls.ask(hung.call, { late: (answer) => void putAway.push(answer) })
  const waiting = calls.ask(async () => 'after')
  await expect(Promise.all([first, waiting])).rejects.toMatchObject(late)
  await expect(waiting).rejects.toMatchObject(late)
  // Nobody asks while there is no thread for it.
  let isAsked = false
  const ask = async () => {
    isAsked = true
  }
  await expect(calls.ask(ask)).rejects.toMatchObject(late)
  expect(isAsked).toBe(false)
  hung.resolve('late')
  await expect.poll(() => putAway).toEqual(['late'])
  expect(await calls.ask(async () => 'again')).toBe('again')
})

test('one call that hangs leaves a turn to the others', async () => {
  const calls = new FolderCalls('/dumps', { mostUnderWay: 2, answerWithinMs: 100 })
  await expect(calls.ask(asked().call)).rejects.toMatchObject(late)
  expect(await Promise.all([1, 2, 3].map((each) => calls.ask(async () => each)))).toEqual([1, 2, 3])
})

test('an abort ends the waiting for an answer and for a turn, and takes no turn with it', async () => {
  const calls = new FolderCalls('/dumps', { mostUnderWay: 1, answerWithinMs: 10_000 })
  const stop = new AbortController()
  const hung = asked<string>()
  const putAway: string[] = []
  const answer = calls.ask(hung.call, { signal: stop.signal, late: (found) => void putAway.push(found) })
  const turn = calls.ask(async () => 'never', { signal: stop.signal })
  stop.abort('enough')
  await expect(answer).rejects.toBe('enough')
  await expect(turn).rejects.toBe('enough')
  hung.resolve('late')
  await expect.poll(() => putAway).toEqual(['late'])
  expect(await calls.ask(async () => 'again')).toBe('again')
})

test('calls that may take long leave a turn to the others, also while one of them is overdue', async () => {
  const calls = new FolderCalls('/dumps', { mostUnderWay: 2, answerWithinMs: 10_000 })
  const long = [asked<string>(), asked<string>(), asked<string>()]
  const answers = long.map(({ call }) => calls.ask(call, { withinMs: 200 }))
  // Made while others wait, and ended before they have taken too long.
  expect(await Promise.all([1, 2, 3].map((each) => calls.ask(async () => each)))).toEqual([1, 2, 3])
  expect(await Promise.allSettled(answers)).toMatchObject(
    long.map(() => ({ reason: { code: 'STORE_UNAVAILABLE', message: expect.stringContaining('within 0.2 s') } })),
  )
  // One of them was made and hangs: no other is, and all else goes on.
  await expect(calls.ask(async () => 'never', { withinMs: 200 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(await calls.ask(async () => 'answer')).toBe('answer')
  for (const { resolve } of long) resolve('late')
  await expect.poll(() => calls.ask(async () => 'again', { withinMs: 200 }).catch(() => undefined)).toBe('again')
})

test('a long call that waits for its turn gives up what it has when it is to end', async () => {
  const calls = new FolderCalls('/dumps', { mostUnderWay: 1, answerWithinMs: 10_000 })
  const slow = asked<string>()
  const first = calls.ask(slow.call)
  await expect(calls.ask(async () => 'never', { withinMs: 200, signal: AbortSignal.timeout(50) })).rejects.toThrow(
    'timeout',
  )
  slow.resolve('answer')
  expect(await first).toBe('answer')
  expect(await calls.ask(async () => 'again', { withinMs: 200 })).toBe('again')
})
