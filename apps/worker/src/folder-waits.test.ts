import { expect, test, vi } from 'vitest'
import { FolderWaits } from './folder-waits.ts'

const artifacts = { setting: 'ULLAGE_ARTIFACTS_DIR', folder: '/dumps' }

function waits() {
  const log = { info: vi.fn<(...said: unknown[]) => void>(), warn: vi.fn<(...said: unknown[]) => void>() }
  return { log, folders: new FolderWaits(log as never, { silentAfterMs: 30 }) }
}

test('a folder that answers is nothing to speak of, an error that comes at once neither', async () => {
  const { log, folders } = waits()
  expect(await folders.for(artifacts, async () => 7)).toBe(7)
  await expect(folders.for(artifacts, () => Promise.reject(new Error('EACCES')))).rejects.toThrow('EACCES')
  expect([folders.reason, log.warn.mock.calls, log.info.mock.calls]).toEqual([undefined, [], []])
})

test('a folder that does not answer is waited for, which is said once, until it answers', async () => {
  const { log, folders } = waits()
  const answer = Promise.withResolvers<string>()
  const waited = folders.for(artifacts, () => answer.promise)
  await expect.poll(() => folders.reason).toMatch(/^it waits for the folder of ULLAGE_ARTIFACTS_DIR, /)
  await new Promise((resolve) => setTimeout(resolve, 90))
  expect(log.warn.mock.calls).toEqual([[artifacts, expect.stringContaining('does not answer')]])
  answer.resolve('there')
  expect(await waited).toBe('there')
  expect([folders.reason, log.info.mock.calls]).toEqual([undefined, [[artifacts, 'the folder answers']]])
})

test('an error that ends a silence is not the last word', async () => {
  const { folders } = waits()
  const hung = Promise.withResolvers<string>()
  const answers = [hung.promise, Promise.reject(new Error('ENOTDIR'))]
  for (const answer of answers) answer.catch(() => undefined)
  const waited = folders.for(artifacts, () => answers.shift() ?? Promise.resolve('never asked'))
  await expect.poll(() => folders.reason).toBeDefined()
  hung.reject(new Error('ENOTCONN'))
  await expect(waited).rejects.toThrow('ENOTDIR')
})
