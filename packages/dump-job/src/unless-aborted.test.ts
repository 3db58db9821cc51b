import { expect, test } from 'vitest'
import { unlessAborted } from './unless-aborted.ts'

test('an answer or a failure before the abort is passed on, also without a signal', async () => {
  const { signal } = new AbortController()
  expect(await unlessAborted(Promise.resolve(7), signal)).toBe(7)
  expect(await unlessAborted(Promise.resolve(7), undefined)).toBe(7)
  await expect(unlessAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no')
})

test('an abort ends the waiting at once, and a late answer is put away', async () => {
  const asked = Promise.withResolvers<string>()
  const stop = new AbortController()
  const late: string[] = []
  const waiting = unlessAborted(asked.promise, stop.signal, (answer) => void late.push(answer))
  stop.abort('enough')
  await expect(waiting).rejects.toBe('enough')
  expect(late).toEqual([])
  asked.resolve('answer')
  await asked.promise
  await expect.poll(() => late).toEqual(['answer'])
})

test('a signal that was aborted before is heard', async () => {
  await expect(unlessAborted(Promise.resolve(7), AbortSignal.abort('enough'))).rejects.toBe('enough')
})
