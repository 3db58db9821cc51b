import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeFolder as makeFolderLater, makeFolderSync } from './make-folder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-folder-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe.each([
  ['makeFolder', makeFolderLater],
  ['makeFolderSync', async (path: string, mode?: number) => makeFolderSync(path, mode)],
])('%s', (_name, makeFolder) => {
  test('makes every level, with its mode, and leaves what is there', async () => {
    await makeFolder(join(folder, 'a/b/c'), 0o750)
    await makeFolder(join(folder, 'a/b/c'), 0o750)
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o750)
    expect(statSync(join(folder, 'a/b/c')).isDirectory()).toBe(true)
  })

  test.each(['/proc/x', '/proc/x/y/z'])('%s cannot be made, and that is said at once', async (path) => {
    await expect(makeFolder(path)).rejects.toThrow('expected to make the folder /proc/x: /proc takes none')
  })

  test('a file is no folder, and has none in it', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    await expect(makeFolder(file)).rejects.toThrow(`expected a folder at ${file}, found a file`)
    await expect(makeFolder(join(file, 'a'))).rejects.toThrow(`expected a folder at ${file}, found a file`)
  })

  test('a link to nothing cannot be made', async () => {
    symlinkSync(join(folder, 'nothing'), join(folder, 'link'))
    await expect(makeFolder(join(folder, 'link/a'))).rejects.toThrow(
      /expected to make the folder .*link: .* takes none \(EEXIST\)/,
    )
  })
})
