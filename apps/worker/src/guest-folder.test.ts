import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { descriptorPath, GuestFolder } from './guest-folder.ts'

let folder: string
let loads: string[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-guests-'))
  loads = []
})
afterEach(() => rmSync(folder, { recursive: true }))

const load = async (path: string) => {
  loads.push(path)
  return { backend: readFileSync(path, 'utf8') || raise() }
}
const raise = (): never => {
  throw new Error('expected something, found nothing')
}
const put = (name: string, text: string) => writeFileSync(join(folder, name), text)

test('lists descriptors by name, and says which files cannot be guests', async () => {
  put('b.json', 'xen')
  put('a.json', 'hyperv')
  put('a b.json', 'xen')
  put('.hidden.json', 'xen')
  put('readme.txt', '')
  expect(await new GuestFolder(folder, load).list()).toEqual({
    guests: [
      { id: 'a', backend: 'hyperv', problem: null },
      { id: 'b', backend: 'xen', problem: null },
    ],
    ignored: ['.hidden.json', 'a b.json'],
  })
})

test('a descriptor is read once, and again when it changes', async () => {
  put('a.json', 'xen')
  const guests = new GuestFolder(folder, load)
  await guests.list()
  await guests.list()
  expect(loads).toHaveLength(1)
  put('a.json', 'virtio-balloon')
  expect((await guests.list()).guests).toEqual([{ id: 'a', backend: 'virtio-balloon', problem: null }])
  rmSync(join(folder, 'a.json'))
  expect((await guests.list()).guests).toEqual([])
})

test('one that cannot be read is a guest with a problem, until it can', async () => {
  put('a.json', '')
  const guests = new GuestFolder(folder, load)
  const message = 'expected something, found nothing'
  expect((await guests.list()).guests).toEqual([{ id: 'a', backend: null, problem: { code: 'INVALID', message } }])
  put('a.json', 'xen')
  expect((await guests.list()).guests).toEqual([{ id: 'a', backend: 'xen', problem: null }])
})

test.each(['../a', 'a/b', '..', ''])('%j has no descriptor', (id) => {
  expect(() => descriptorPath(folder, id)).toThrow(/expected a guest id/)
})
