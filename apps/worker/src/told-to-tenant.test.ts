import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readKeyFile, StoreError } from '@ullage/artifact-store'
import { dumpDefaults, DumpError, dumpGuest } from '@ullage/dump'
import { type DumpFailure, failureForTenant, failureOfReason } from '@ullage/dump-job'
import { loadDescriptor, openGuest } from '@ullage/guests'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AttemptError, toJobError } from './job-failure.ts'

/** What packages really throw, from where it is thrown to what a tenant reads. */
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage acme '))
  mkdirSync(join(folder, 'state'))
  writeFileSync(join(folder, 'ram.raw'), Buffer.alloc(1 << 20, 1))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The failure of what `act` throws, as the child says it to the worker and the worker to the queue. */
async function failureOf(act: () => Promise<unknown>): Promise<DumpFailure> {
  const error = await act().then(
    () => new Error('expected it to throw'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof StoreError) return failureOfReason(toJobError(error, 9).message)
  const { code, message } = error as Error & { code?: string }
  return failureOfReason(toJobError(new AttemptError(code ?? 'INTERNAL', message), 9).message)
}

async function open(descriptor: unknown) {
  const path = join(folder, 'web-1.json')
  writeFileSync(path, typeof descriptor === 'string' ? descriptor : JSON.stringify(descriptor))
  return openGuest(await loadDescriptor(path), { stateDir: join(folder, 'state') })
}

const region = { gpa: '0x0', size: '0x100000', file: 'ram.raw' }
const ofFiles = { backend: 'virtio-balloon', source: { kind: 'files', regions: [region] } }

const thrown: [string, string, () => Promise<unknown>][] = [
  ['no descriptor', 'INTERNAL', () => loadDescriptor(join(folder, 'none.json'))],
  ['a descriptor that is no JSON', 'INTERNAL', () => open('{')],
  ['a descriptor of no backend', 'INTERNAL', () => open({ backend: 'odd', source: {} })],
  [
    'no socket',
    'GUEST_NOT_FOUND',
    () => open({ backend: 'virtio-balloon', source: { kind: 'qmp', socket: 'a b.qmp' } }),
  ],
  ['no core', 'INVALID', () => open({ backend: 'xen', source: { kind: 'core', file: 'web 1.core' } })],
  ['a core that is none', 'INVALID', () => open({ backend: 'xen', source: { kind: 'core', file: 'ram.raw' } })],
  ['an image that is none', 'INVALID', () => open({ backend: 'xen', source: { kind: 'save', file: 'ram.raw' } })],
  [
    'a saved state that is none',
    'INVALID',
    () => open({ backend: 'hyperv', source: { kind: 'saved-state', file: 'ram.raw' } }),
  ],
  [
    'no RAM',
    'INVALID',
    () => open({ ...ofFiles, source: { kind: 'files', regions: [{ ...region, file: 'a b.raw' }] } }),
  ],
  [
    'no place for the dump',
    'OUTPUT_NOT_WRITABLE',
    async () => {
      await using guest = await open(ofFiles)
      return dumpGuest(guest, { ...dumpDefaults, trust: 'host', output: join(folder, 'none', 'vmcore') })
    },
  ],
  [
    'a key file that others can read',
    'KEY_REFUSED',
    async () => {
      writeFileSync(join(folder, 'key'), Buffer.alloc(32))
      chmodSync(join(folder, 'key'), 0o644)
      return readKeyFile(join(folder, 'key'))
    },
  ],
  [
    'a store that refuses',
    'STORE_REFUSED',
    async () => {
      throw new StoreError('STORE_REFUSED', `bucket dumps at https://minio.acme:9000 refused ${folder}: AccessDenied`)
    },
  ],
  [
    'a full disk',
    'NO_SPACE',
    async () => {
      throw new DumpError('NO_SPACE', `cannot write ${folder}/vmcore: no space left on device`)
    },
  ],
]

test.each(thrown)('%s: the worker says where, a tenant does not read it', async (_what, code, act) => {
  const failure = await failureOf(act)
  expect(failure).toMatchObject({ code, message: expect.stringContaining(folder) })
  const told = failureForTenant(failure)
  expect(told.code).toBe(code)
  expect(told.message).not.toMatch(/\/(?!v1|guests)|acme|minio|dumps at|\.raw|\.qmp|\.json|[a-z]:\d/)
  expect(told.message).toMatch(/[a-z].*; /)
})
