import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { removeStaleSocket } from './remove-stale-socket.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-socket-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a socket goes, a file stays, nothing is no error', async () => {
  const path = join(folder, 'a.sock')
  await removeStaleSocket(path)
  const server = createServer().listen(path)
  await once(server, 'listening')
  await removeStaleSocket(path)
  expect(existsSync(path)).toBe(false)
  server.close()
  writeFileSync(path, 'precious')
  await expect(removeStaleSocket(path)).rejects.toThrow('found something else')
  expect(existsSync(path)).toBe(true)
})
