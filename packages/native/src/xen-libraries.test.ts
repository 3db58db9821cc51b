import { expect, test } from 'vitest'
import { ForeignBytes } from './foreign-bytes.ts'
import { libc } from './foreign.ts'
import { openXenCall } from './xen-call.ts'
import { openXenForeignMemory } from './xen-foreign-memory.ts'
import { requirePrivcmd } from './xen-library.ts'
import { openXenStore } from './xen-store.ts'

test.each([
  [openXenCall, 'libxencall1'],
  [openXenForeignMemory, 'libxenforeignmemory1'],
  [openXenStore, 'libxenstore4'],
])('a library that is missing is named by its package', (open, name) => {
  expect(() => open(() => undefined)).toThrow(
    expect.objectContaining({
      name: 'XenError',
      code: 'LIBRARY_MISSING',
      message: expect.stringContaining(`Debian: ${name})`),
    }),
  )
})

test('a machine that is no control domain is told what it lacks', () => {
  requirePrivcmd((path) => path === '/dev/xen/privcmd')
  requirePrivcmd((path) => path === '/proc/xen/privcmd')
  for (const [there, message] of [
    ['/sys/hypervisor', /load the kernel module xen-privcmd/],
    ['', /control domain \(dom0\) of a Xen host.*run it there/],
  ] as const) {
    expect(() => requirePrivcmd((path) => path === there)).toThrow(
      expect.objectContaining({ code: 'NOT_CONTROL_DOMAIN', message: expect.stringMatching(message) }),
    )
  }
})

test('bytes of a library are copied out and in, and no others', () => {
  const malloc: (bytes: number) => number = libc.func('malloc', 'uintptr_t', ['size_t'])
  const free: (address: number) => void = libc.func('free', 'void', ['uintptr_t'])
  const bytes = new ForeignBytes(Number(malloc(64)), 64)
  bytes.write(
    0,
    Uint8Array.from({ length: 64 }, (_, i) => i),
  )
  const found = new Uint8Array(4)
  bytes.read(60, found)
  expect([...found]).toEqual([60, 61, 62, 63])
  for (const offset of [61, -1, 0.5, 64, Number.NaN]) {
    expect(() => bytes.read(offset, found)).toThrow(RangeError)
    expect(() => bytes.write(offset, found)).toThrow(RangeError)
  }
  bytes.forget()
  expect(() => bytes.read(0, found)).toThrow(RangeError)
  free(bytes.address)
  expect(() => new ForeignBytes(0, 64)).toThrow(RangeError)
})
