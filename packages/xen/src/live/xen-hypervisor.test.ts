import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { hypercallError } from './hypercall-error.ts'
import { XenHypervisor } from './xen-hypervisor.ts'

test('outside a control domain it says where to run', () => {
  if (existsSync('/dev/xen/privcmd')) throw new Error('this test is for machines that are no Xen host')
  expect(() => XenHypervisor.open()).toThrow(
    expect.objectContaining({
      code: 'INVALID',
      message: expect.stringContaining('control domain (dom0) of a Xen host'),
    }),
  )
})

test.each([
  [-3, 'domctl pausedomain', 'UNAVAILABLE', /domain 7, found that it is gone/],
  [-13, 'domctl getdomaininfo', 'UNSUPPORTED', /interface of this version/],
  [-1, 'domctl pausedomain', 'INVALID', /EPERM.*control domain/],
  [-22, 'XENMEM_maximum_gpfn', 'UNAVAILABLE', /EINVAL/],
])('a hypercall that gives %i says what it means', (result, what, code, message) => {
  expect(hypercallError(what, 7, result)).toMatchObject({ code, message })
})
