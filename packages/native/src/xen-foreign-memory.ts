import { ForeignBytes } from './foreign-bytes.ts'
import { lastErrno, loadLibrary, type LibraryLoader } from './foreign.ts'
import { systemError } from './system-error.ts'
import { cannotOpen, loadXenLibrary } from './xen-library.ts'

const SONAME = 'libxenforeignmemory.so.1'
const PROT_READ = 1
const PAGE_BYTES = 4096
/** More in one mapping than anybody needs. */
const MAX_FRAMES = 65536

/** Memory of domains, mapped for reading (libxenforeignmemory, whose interface is stable). */
export interface XenForeignMemory extends Disposable {
  /**
   * Maps `frames` of domain `domid` one after another, and calls `use` with their bytes and the error number of each (0
   * where it is mapped; the bytes of another frame must not be touched). Unmaps them afterwards. Throws a system error
   * when nothing could be mapped at all.
   */
  map<T>(domid: number, frames: readonly number[], use: (bytes: ForeignBytes, errors: Int32Array) => T): T
}

/** Opens the interface. Throws XenError. */
export function openXenForeignMemory(load: LibraryLoader = loadLibrary): XenForeignMemory {
  const library = loadXenLibrary(load, SONAME, 'libxenforeignmemory1')
  const open: (logger: null, flags: number) => number | bigint = library.func('xenforeignmemory_open', 'uintptr_t', [
    'void *',
    'unsigned int',
  ])
  const close: (handle: number) => number = library.func('xenforeignmemory_close', 'int', ['uintptr_t'])
  const map: (
    handle: number,
    domid: number,
    protection: number,
    pages: number,
    frames: Uint32Array,
    errors: Int32Array,
  ) => number | bigint = library.func('xenforeignmemory_map', 'uintptr_t', [
    'uintptr_t',
    'uint32_t',
    'int',
    'size_t',
    'uint32_t *',
    '_Inout_ int32_t *',
  ])
  const unmap: (handle: number, address: number, pages: number) => number = library.func(
    'xenforeignmemory_unmap',
    'int',
    ['uintptr_t', 'uintptr_t', 'size_t'],
  )

  const handle = Number(open(null, 0))
  if (handle === 0) throw cannotOpen(SONAME)
  let closed = false
  return {
    map(domid, frames, use) {
      if (closed) throw new RangeError('expected open foreign memory, found it closed')
      if (frames.length === 0 || frames.length > MAX_FRAMES) {
        throw new RangeError(`expected 1 to ${MAX_FRAMES} frames to map, found ${frames.length}`)
      }
      // u32 words, low and high: half the time of bigints.
      const words = new Uint32Array(frames.length * 2)
      frames.forEach((frame, i) => {
        words[i * 2] = frame
        words[i * 2 + 1] = frame / 2 ** 32
      })
      const errors = new Int32Array(frames.length)
      const address = Number(map(handle, domid, PROT_READ, frames.length, words, errors))
      if (address === 0) {
        throw systemError(
          'xenforeignmemory_map',
          lastErrno(),
          `domain ${domid}, ${frames.length} frames from ${frames[0]}`,
        )
      }
      const bytes = new ForeignBytes(address, frames.length * PAGE_BYTES)
      try {
        return use(bytes, errors)
      } finally {
        bytes.forget()
        // Fails for no mapping that was made: munmap of what mmap gave.
        unmap(handle, address, frames.length)
      }
    },
    [Symbol.dispose]() {
      if (!closed) close(handle)
      closed = true
    },
  }
}
