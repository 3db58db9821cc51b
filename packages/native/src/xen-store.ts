import { ForeignBytes } from './foreign-bytes.ts'
import { lastErrno, libc, loadLibrary, type LibraryLoader } from './foreign.ts'
import { koffi } from './koffi.ts'
import { systemError } from './system-error.ts'
import { XenError } from './xen-error.ts'
import { cannotOpen, loadXenLibrary } from './xen-library.ts'

/** Those whose functions below are the same: 3.0 was renamed when functions nobody uses were dropped. */
const SONAMES = ['libxenstore.so.4', 'libxenstore.so.3.0'] as const
const EACCES = 13
const ENOENT = 2
/** Xenstore's own limit for a value, and for the names in a folder. */
const MAX_BYTES = 4096
const MAX_ENTRIES = 65536

const free: (address: number) => void = libc.func('free', 'void', ['uintptr_t'])

/** Xenstore, where the toolstack writes down what it knows of domains. */
export interface XenStore extends Disposable {
  /** Value at `path`, or undefined when there is none. Throws a system error. */
  read(path: string): string | undefined
  /** Names in the folder `path`; none when there is no such folder. Throws a system error. */
  list(path: string): string[]
}

/** Connects to xenstore. Throws XenError. */
export function openXenStore(load: LibraryLoader = loadLibrary): XenStore {
  const [soname, older] = SONAMES
  const library = load(soname) ?? load(older) ?? loadXenLibrary(load, soname, 'libxenstore4')
  const open: (flags: number) => number | bigint = library.func('xs_open', 'uintptr_t', ['unsigned long'])
  const close: (handle: number) => void = library.func('xs_close', 'void', ['uintptr_t'])
  const args = ['uintptr_t', 'uint32_t', 'const char *', '_Out_ unsigned int *']
  type Ask = (handle: number, transaction: number, path: string, length: Uint32Array) => number | bigint
  const read: Ask = library.func('xs_read', 'uintptr_t', args)
  const directory: Ask = library.func('xs_directory', 'uintptr_t', args)

  const handle = Number(open(0))
  if (handle === 0) throw cannotOpen(`xenstore (${soname})`)
  let closed = false
  const ask = <T>(
    what: string,
    function_: Ask,
    path: string,
    use: (address: number, length: number) => T,
  ): T | undefined => {
    if (closed) throw new XenError('FAILED', 'expected an open connection to xenstore, found it closed')
    const length = new Uint32Array(1)
    const address = Number(function_(handle, 0, path, length))
    if (address === 0) {
      const errno = lastErrno()
      if (errno === ENOENT || errno === EACCES) return undefined
      throw systemError(what, errno, path)
    }
    try {
      return use(address, length[0] as number)
    } finally {
      free(address)
    }
  }
  return {
    read: (path) =>
      ask('xs_read', read, path, (address, length) => {
        const size = Math.min(length, MAX_BYTES)
        const value = new Uint8Array(size)
        new ForeignBytes(address, size).read(0, value)
        return Buffer.from(value).toString('utf8')
      }),
    list: (path) =>
      ask('xs_directory', directory, path, (address, count) => {
        const entries = Math.min(count, MAX_ENTRIES)
        if (entries === 0) return []
        const names: unknown = koffi().decode(BigInt(address), koffi().array('const char *', entries, 'Array'))
        return Array.isArray(names) ? names.map(String) : []
      }) ?? [],
    [Symbol.dispose]() {
      if (!closed) close(handle)
      closed = true
    },
  }
}
