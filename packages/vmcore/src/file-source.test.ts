import { readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../test/temporary-folder.ts'
import { openFileSource } from './file-source.ts'

const dir = temporaryFolder()

test('closing waits for whom the file is lent to, and nobody is lent a closed one', async () => {
  const path = join(dir, 'lent')
  writeFileSync(path, 'content')
  const source = await openFileSource(path)
  const { promise: used, resolve: finish } = Promise.withResolvers<void>()
  const events: string[] = []
  const into = Buffer.alloc(7)
  const lent = source.lend(async ({ fd, sizeBytes }) => {
    await used
    events.push(`read ${readSync(fd, into, 0, sizeBytes, 0)}`)
    return 'lent'
  })
  const closing = source[Symbol.asyncDispose]().then(() => events.push('closed'))
  await new Promise(setImmediate)
  finish()
  expect(await lent).toBe('lent')
  await closing
  expect(events).toEqual(['read 7', 'closed'])
  expect(into.toString()).toBe('content')
  await expect(source.lend(async () => 'never')).rejects.toMatchObject({ code: 'UNREADABLE' })
})

test('what fails while the file is lent does not keep it from closing', async () => {
  const path = join(dir, 'failed')
  writeFileSync(path, 'content')
  const source = await openFileSource(path)
  await expect(source.lend(() => Promise.reject(new Error('no use')))).rejects.toThrow('no use')
  await source[Symbol.asyncDispose]()
})
