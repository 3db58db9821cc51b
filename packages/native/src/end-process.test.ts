import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const source = new URL('end-process.ts', import.meta.url).href
let pipe: string
beforeAll(() => {
  pipe = join(mkdtempSync(join(tmpdir(), 'ullage-end-')), 'hung')
  execFileSync('mkfifo', [pipe])
})
afterAll(() => rmSync(join(pipe, '..'), { recursive: true }))

/** How a process ends that does `what` and then ends with status 3. */
async function endOf(what: string, end = 'endProcess(3)'): Promise<unknown[]> {
  const script = `
    import { open, readFile, writeFile } from 'node:fs/promises'
    import { open as openCallback } from 'node:fs'
    const { endProcess } = await import('${source}')
    ${what}
    ${end}`
  const args = ['--conditions=@ullage/source', '--input-type=module', '-e', script]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const overdue = setTimeout(() => child.kill('SIGKILL'), 8_000)
  const ended = await once(child, 'exit')
  clearTimeout(overdue)
  return ended
}

test('a process ends with its status, whatever it has begun', async () => {
  expect(await endOf('')).toEqual([3, null])
  expect(await endOf('setInterval(() => {}, 1000)')).toEqual([3, null])
})

test.each([
  ['a file is opened', `open('PIPE', 'r').catch(() => {})`],
  ['a file is opened by a callback', `openCallback('PIPE', 'r', () => {})`],
  ['a file is read whole', `readFile('PIPE').catch(() => {})`],
  ['a file is read', `open('PIPE', 'r+').then((file) => file.read()); await new Promise((r) => setTimeout(r, 200))`],
  ['a file is written whole', `writeFile('PIPE', 'x').catch(() => {})`],
  ['all threads wait', `for (let i = 0; i < 9; i++) open('PIPE', 'r').catch(() => {})`],
])('a process ends with its status also while %s and the file system hangs', async (_, what) => {
  expect(await endOf(what.replaceAll('PIPE', pipe))).toEqual([3, null])
})

test('where process.exit waits for ever', async () => {
  const hung = `openCallback('${pipe}', 'r', () => {})`
  expect(await endOf(hung, 'process.exit(3)')).toEqual([null, 'SIGKILL'])
})
