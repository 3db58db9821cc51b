import { ForeignBytes } from './foreign-bytes.ts'
import { lastErrno, loadLibrary, type LibraryLoader } from './foreign.ts'
import { cannotOpen, loadXenLibrary } from './xen-library.ts'
import { XenError } from './xen-error.ts'

const SONAME = 'libxencall.so.1'

/** Raw hypercalls, and memory that they may be given (libxencall, whose interface is stable). */
export interface XenCall extends Disposable {
  /** Result of hypercall `op` with two arguments: 0 or more, or an error number below 0. */
  call(op: number, first: number, second: number): number
  /** Memory that a hypercall can reach at any time, zeroed; given back when this is disposed of. */
  allocate(sizeBytes: number): ForeignBytes
}

/** Opens Xen's call interface. Throws XenError. */
export function openXenCall(load: LibraryLoader = loadLibrary): XenCall {
  const library = loadXenLibrary(load, SONAME, 'libxencall1')
  const open: (logger: null, flags: number) => number | bigint = library.func('xencall_open', 'uintptr_t', [
    'void *',
    'unsigned int',
  ])
  const close: (handle: number) => number = library.func('xencall_close', 'int', ['uintptr_t'])
  // Since Xen 4.16; before, the result is an int, into which the highest frame number of a small machine fits as well.
  const call2 = callOf(library)
  const alloc: (handle: number, size: number) => number | bigint = library.func('xencall_alloc_buffer', 'uintptr_t', [
    'uintptr_t',
    'size_t',
  ])
  const free: (handle: number, address: number) => void = library.func('xencall_free_buffer', 'void', [
    'uintptr_t',
    'uintptr_t',
  ])

  const handle = Number(open(null, 0))
  if (handle === 0) throw cannotOpen(SONAME)
  const buffers: ForeignBytes[] = []
  let closed = false
  return {
    call(op, first, second) {
      if (closed) throw new XenError('FAILED', 'expected an open call interface, found it closed')
      const result = Number(call2(handle, op, first, second))
      return result === -1 ? -lastErrno() : result
    },
    allocate(sizeBytes) {
      const address = Number(alloc(handle, sizeBytes))
      if (address === 0) throw new XenError('FAILED', `${SONAME} has no ${sizeBytes} bytes for hypercalls`)
      const buffer = new ForeignBytes(address, sizeBytes)
      buffer.write(0, new Uint8Array(sizeBytes))
      buffers.push(buffer)
      return buffer
    },
    [Symbol.dispose]() {
      if (closed) return
      closed = true
      for (const buffer of buffers) {
        buffer.forget()
        free(handle, buffer.address)
      }
      close(handle)
    },
  }
}

type Call2 = (handle: number, op: number, first: number, second: number) => number | bigint

function callOf(library: ReturnType<typeof loadXenLibrary>): Call2 {
  const args = ['uintptr_t', 'unsigned int', 'uint64_t', 'uint64_t']
  try {
    return library.func('xencall2L', 'long', args)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return library.func('xencall2', 'int', args)
  }
}
