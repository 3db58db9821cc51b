import { existsSync } from 'node:fs'
import { getSystemErrorMap } from 'node:util'
import type { LibraryHandle } from 'koffi'
import { lastErrno, type LibraryLoader } from './foreign.ts'
import { XenError } from './xen-error.ts'

/** The device that privileged calls go through, under its two names. */
const PRIVCMD = ['/dev/xen/privcmd', '/proc/xen/privcmd'] as const

const EPERM = 1
const ENOENT = 2
const EACCES = 13

/** Throws XenError NOT_CONTROL_DOMAIN where there is no device for calls to Xen. */
export function requirePrivcmd(exists: (path: string) => boolean = existsSync): void {
  if (PRIVCMD.some((path) => exists(path))) return
  const place = exists('/sys/hypervisor') || exists('/proc/xen') ? 'load the kernel module xen-privcmd' : 'run it there'
  throw new XenError(
    'NOT_CONTROL_DOMAIN',
    `expected to run in the control domain (dom0) of a Xen host, found no ${PRIVCMD[0]}; ${place}`,
  )
}

/** Loads a library of Xen's. Throws XenError LIBRARY_MISSING with the name of its Debian package. */
export function loadXenLibrary(load: LibraryLoader, soname: string, debianPackage: string): LibraryHandle {
  const library = load(soname)
  if (library) return library
  throw new XenError(
    'LIBRARY_MISSING',
    `a live xen domain needs ${soname}, which this machine lacks; install it (Debian: ${debianPackage})`,
  )
}

/** The error for a handle that `library` could not open, by errno. */
export function cannotOpen(library: string): XenError {
  const errno = lastErrno()
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error']
  const found = `${library} could not be opened: ${code}, ${text}`
  if (errno === EACCES || errno === EPERM) return new XenError('DENIED', `${found}; run as root`)
  if (errno === ENOENT)
    return new XenError('NOT_CONTROL_DOMAIN', `${found}; run in the control domain (dom0) of a Xen host`)
  return new XenError('FAILED', found)
}
