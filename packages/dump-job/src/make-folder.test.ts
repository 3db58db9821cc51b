import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeFolder } from './make-folder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-folder-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('makes every level, with its mode, and leaves what is there', () => {
  makeFolder(join(folder, 'a/b/c'), 0o750)
  makeFolder(join(folder, 'a/b/c'), 0o750)
  expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o750)
  expect(statSync(join(folder, 'a/b/c')).isDirectory()).toBe(true)
})

test.each(['/proc/x', '/proc/x/y/z'])('%s cannot be made, and that is said at once', (path) => {
  expect(() => makeFolder(path)).toThrow('expected to make the folder /proc/x: /proc takes none')
})

test('a file is no folder, and has none in it', () => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  expect(() => makeFolder(file)).toThrow(`expected a folder at ${file}, found a file`)
  expect(() => makeFolder(join(file, 'a'))).toThrow(`expected a folder at ${file}, found a file`)
})

test('a link to nothing cannot be made', () => {
  symlinkSync(join(folder, 'nothing'), join(folder, 'link'))
  expect(() => makeFolder(join(folder, 'link/a'))).toThrow(
    /expected to make the folder .*link: .* takes none \(EEXIST\)/,
  )
})
