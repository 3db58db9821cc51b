import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tenantId } from '@ullage/dump-job'
import { loadDescriptor } from '@ullage/guests'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { descriptorPath, findDescriptor, GuestFolder } from './guest-folder.ts'

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
      { id: 'a', backend: 'hyperv', problem: null, tenant: null },
      { id: 'b', backend: 'xen', problem: null, tenant: null },
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
  expect((await guests.list()).guests).toEqual([{ id: 'a', backend: 'virtio-balloon', problem: null, tenant: null }])
  rmSync(join(folder, 'a.json'))
  expect((await guests.list()).guests).toEqual([])
})

test('says to whom a guest belongs', async () => {
  put('a.json', '{"backend":"virtio-balloon","tenant":"acme","source":{"kind":"qmp","socket":"/run/a.qmp"}}')
  const { guests } = await new GuestFolder(folder, loadDescriptor).list()
  expect(guests).toEqual([{ id: 'a', backend: 'virtio-balloon', problem: null, tenant: 'acme' }])
})

test.each(['acme', 'a', '9.x_-', 'x'.repeat(63), '', '-a', 'a/b', 'a b', 'x'.repeat(64)])(
  'descriptors and jobs agree whether %j is a tenant',
  async (tenant) => {
    const source = { kind: 'qmp', socket: '/run/a.qmp' }
    put('a.json', JSON.stringify({ backend: 'virtio-balloon', tenant, source }))
    const loads = await loadDescriptor(join(folder, 'a.json')).then(
      () => true,
      () => false,
    )
    expect(loads).toBe(tenantId.safeParse(tenant).success)
  },
)

test('one that cannot be read is a guest with a problem, until it can', async () => {
  put('a.json', '')
  const guests = new GuestFolder(folder, load)
  const message = 'expected something, found nothing'
  expect((await guests.list()).guests).toEqual([
    { id: 'a', backend: null, problem: { code: 'INVALID', message }, tenant: null },
  ])
  put('a.json', 'xen')
  expect((await guests.list()).guests).toEqual([{ id: 'a', backend: 'xen', problem: null, tenant: null }])
})

test('one that is bad is read once, and again when it changes', async () => {
  put('a.json', '')
  const guests = new GuestFolder(folder, load)
  await guests.list()
  await guests.list()
  expect(loads).toHaveLength(1)
})

test('one that cannot be read in time has a problem, holds up no other, and is not read a second time meanwhile', async () => {
  put('a.json', 'xen')
  put('b.json', 'hyperv')
  const { promise, resolve } = Promise.withResolvers<{ backend: string }>()
  const hanging = (path: string) => (path.endsWith('a.json') ? (loads.push(path), promise) : load(path))
  const guests = new GuestFolder(folder, hanging, { readWithinMs: 50 })
  const problem = { code: 'INVALID', message: expect.stringContaining('expected to read the descriptor within 0.05 s') }
  const listed = [
    { id: 'a', backend: null, problem, tenant: null },
    { id: 'b', backend: 'hyperv', problem: null, tenant: null },
  ]
  expect((await guests.list()).guests).toEqual(listed)
  expect((await guests.list()).guests).toEqual(listed)
  expect(loads.filter((path) => path.endsWith('a.json'))).toHaveLength(1)
  resolve({ backend: 'xen' })
  await expect
    .poll(async () => (await guests.list()).guests[0])
    .toEqual({ id: 'a', backend: 'xen', problem: null, tenant: null })
})

test('a FIFO is a guest with a problem', async () => {
  execFileSync('mkfifo', [join(folder, 'a.json')])
  put('b.json', '{"backend":"virtio-balloon","source":{"kind":"qmp","socket":"/run/b.qmp"}}')
  const { guests } = await new GuestFolder(folder, loadDescriptor).list()
  expect(guests.map(({ backend }) => backend)).toEqual([null, 'virtio-balloon'])
})

test.each(['../a', 'a/b', '..', ''])('%j has no descriptor', (id) => {
  expect(() => descriptorPath(folder, id)).toThrow(/expected a guest id/)
})

test('the descriptor of a guest that has one is found, of another it is not', async () => {
  put('a.json', 'xen')
  expect(await findDescriptor(folder, 'a')).toBe(join(folder, 'a.json'))
  await expect(findDescriptor(folder, 'b')).rejects.toThrow('ENOENT')
  expect(await findDescriptor(folder, 'a')).toBe(join(folder, 'a.json'))
})

test('who looks for a descriptor in a folder that hangs hears that it is to end, and of such looks there is one', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const looks: string[] = []
  const hanging = (path: string) => (looks.push(path), promise)
  const told = new AbortController()
  const searches = ['a', 'b'].map((id) => findDescriptor(folder, id, told.signal, hanging))
  const ended = Promise.allSettled(searches)
  setTimeout(() => told.abort('enough'), 50)
  expect(await ended).toEqual([
    { status: 'rejected', reason: 'enough' },
    { status: 'rejected', reason: 'enough' },
  ])
  expect(looks).toEqual([join(folder, 'a.json')])
  resolve()
  expect(await findDescriptor(folder, 'c', undefined, hanging)).toBe(join(folder, 'c.json'))
  expect(looks).toEqual([join(folder, 'a.json'), join(folder, 'c.json')])
})
