import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadDescriptor } from './descriptor.ts'
import { DescriptorError } from './descriptor-error.ts'
import { resumeAbandoned } from './resume-abandoned.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ullage-descriptor-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function load(content: unknown) {
  const path = join(folder, `${Math.random().toString(36).slice(2)}.json`)
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return loadDescriptor(path)
}

const region = { gpa: '0x0', size: '0x1000', file: 'ram.raw' }

test.each([
  ['a misspelt key', { backend: 'virtio-balloon', source: { kind: 'qmp', soket: '/x' } }, /source.*soket/s],
  ['a misspelt outer key', { backend: 'virtio-balloon', sources: {} }, /sources/],
  ['an unknown backend', { backend: 'vmware', source: {} }, /one of virtio-balloon.*"vmware"/],
  ['a backend named like a property of every object', { backend: 'constructor', source: {} }, /one of virtio-balloon/],
  ['an unknown kind', { backend: 'virtio-balloon', source: { kind: 'ssh' } }, /source\.kind/],
  ['no regions', { backend: 'virtio-balloon', source: { kind: 'files', regions: [] } }, /source\.regions/],
  [
    'a size that is no number',
    { backend: 'virtio-balloon', source: { kind: 'files', regions: [{ ...region, size: '12 MiB' }] } },
    /source\.regions\.0\.size.*"12 MiB"/,
  ],
  [
    'a negative address',
    { backend: 'virtio-balloon', source: { kind: 'files', regions: [{ ...region, gpa: -4096 }] } },
    /source\.regions\.0\.gpa.*-4096/,
  ],
  ['a core without its file', { backend: 'xen', source: { kind: 'core' } }, /source\.file/],
  ['a domain without its name', { backend: 'xen', source: { kind: 'domain' } }, /source\.domain.*name of a domain/],
  ['the control domain', { backend: 'xen', source: { kind: 'domain', domain: 0 } }, /source\.domain.*from 1 on/],
  [
    'something else to allow',
    { backend: 'xen', source: { kind: 'domain', domain: 7, allow: ['everything'] } },
    /source\.allow\.0/,
  ],
  ['a kind of xen source there is not', { backend: 'xen', source: { kind: 'dump' } }, /source\.kind/],
  ['a saved state without its file', { backend: 'hyperv', source: { kind: 'saved-state' } }, /source\.file/],
  [
    'a live hyperv guest without its socket',
    { backend: 'hyperv', source: { kind: 'qmp', trace: 'x' } },
    /source\.socket/,
  ],
  ['an empty trace', { backend: 'hyperv', source: { kind: 'qmp', socket: '/x', trace: '' } }, /source\.trace/],
  ['no JSON', '{"backend"', /expected JSON/],
])('refuses %s, and says where', async (_, content, message) => {
  const error = await load(content).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(DescriptorError)
  expect((error as Error).message).toMatch(message)
})

test('names the file that is not there', async () => {
  await expect(loadDescriptor(join(folder, 'absent.json'))).rejects.toThrow(/absent\.json: there is no such file/)
  await expect(loadDescriptor(folder)).rejects.toThrow(/it is a folder/)
})

test('takes both kinds of virtio-balloon source', async () => {
  expect((await load({ backend: 'virtio-balloon', source: { kind: 'qmp', socket: '/x' } })).backend).toBe(
    'virtio-balloon',
  )
  await load({ backend: 'virtio-balloon', source: { kind: 'files', regions: [{ ...region, offset: 4096 }] } })
})

test.each(['', '../acme', 'a b', 'ä', 7, null])('refuses %j as a tenant', async (tenant) => {
  const content = { backend: 'xen', tenant, source: { kind: 'core', file: 'a' } }
  await expect(load(content)).rejects.toThrow(/: tenant: /)
})

test('takes the tenant to whom a guest belongs', async () => {
  const source = { kind: 'qmp', socket: '/x' }
  expect((await load({ backend: 'virtio-balloon', tenant: 'acme', source })).tenant).toBe('acme')
  expect(await load({ backend: 'virtio-balloon', source })).not.toHaveProperty('tenant')
})

test('takes a live hyperv guest, with and without a trace', async () => {
  const live = { kind: 'qmp', socket: '/absent.qmp' }
  const plain = await load({ backend: 'hyperv', source: live })
  await expect(plain.open({ stateDir: folder })).rejects.toMatchObject({ code: 'GUEST_NOT_FOUND' })
  expect((await load({ backend: 'hyperv', source: { ...live, trace: 'qemu.trace' } })).backend).toBe('hyperv')
})

test('takes a xen core, whose path is relative to the descriptor', async () => {
  const descriptor = await load({ backend: 'xen', source: { kind: 'core', file: 'web-1.core' } })
  expect(descriptor.backend).toBe('xen')
  await expect(descriptor.open({ stateDir: folder })).rejects.toThrow(`at ${join(folder, 'web-1.core')}`)
})

test('takes a saved state of Hyper-V, whose path is relative to the descriptor', async () => {
  const descriptor = await load({ backend: 'hyperv', source: { kind: 'saved-state', file: 'web-1.vmrs' } })
  expect(descriptor.backend).toBe('hyperv')
  await expect(descriptor.open({ stateDir: folder })).rejects.toThrow(`at ${join(folder, 'web-1.vmrs')}`)
})

test('takes a live xen domain by name or number, and says where one can be opened', async () => {
  for (const domain of ['web-1', 7]) {
    const descriptor = await load({
      backend: 'xen',
      source: { kind: 'domain', domain, allow: ['populateOnDemand'] },
    })
    await expect(descriptor.open({ stateDir: folder })).rejects.toThrow('control domain (dom0) of a Xen host')
  }
})

test('resumes what an earlier run left paused, of every backend', async () => {
  expect(await resumeAbandoned(join(folder, 'nothing-there'))).toEqual([])
  await writeFile(join(folder, 'aa.xen-paused.json'), '{}')
  await writeFile(join(folder, 'bb.paused.json'), '{}')
  const found = await resumeAbandoned(folder)
  expect(found.map(({ guest, outcome }) => [guest, outcome])).toEqual([
    [join(folder, 'bb.paused.json'), 'failed'],
    [join(folder, 'aa.xen-paused.json'), 'failed'],
  ])
})

test('takes an image of xl save, whose path is relative to the descriptor', async () => {
  const descriptor = await load({ backend: 'xen', source: { kind: 'save', file: 'web-1.save' } })
  await expect(descriptor.open({ stateDir: folder })).rejects.toThrow(
    `expected an image of xl save at ${join(folder, 'web-1.save')}`,
  )
  await expect(load({ backend: 'xen', source: { kind: 'save', file: 'a', offset: 0 } })).rejects.toThrow(/offset/)
})
