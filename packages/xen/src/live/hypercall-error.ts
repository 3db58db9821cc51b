import { getSystemErrorMap } from 'node:util'
import { OfflineError } from '@ullage/offline-query'

export const EPERM = 1
export const ESRCH = 3
export const EACCES = 13
export const EINVAL = 22
export const ENODATA = 61

/** The error of a hypercall that gave `result` (negative), when it was asked `what` of domain `domid`. */
export function hypercallError(what: string, domid: number, result: number): OfflineError {
  const [code, text] = getSystemErrorMap().get(result) ?? [`error ${-result}`, 'unknown error']
  if (result === -ESRCH) return goneError(domid)
  if (result === -EACCES && what.startsWith('domctl')) {
    return new OfflineError(
      'UNSUPPORTED',
      `expected the domctl interface of this version of xen, found that the hypervisor refuses it (${what}): it was changed by whoever built it`,
    )
  }
  if (result === -EPERM) {
    return new OfflineError(
      'INVALID',
      `expected to be allowed ${what} of domain ${domid}, found ${code}; run as root in the control domain (dom0)`,
    )
  }
  return new OfflineError('UNAVAILABLE', `expected an answer to ${what} of domain ${domid}, found ${code}: ${text}`)
}

/** The error for a domain that was there. */
export function goneError(domid: number): OfflineError {
  return new OfflineError(
    'UNAVAILABLE',
    `expected domain ${domid}, found that it is gone: destroyed, or rebooted under another number; open it again`,
  )
}
