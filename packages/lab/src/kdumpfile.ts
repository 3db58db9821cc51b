import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'
import { LabError } from './lab-error.ts'

// libkdumpfile/kdumpfile.h: kdump_status, kdump_addrspace_t, kdump_attr_type_t
const KDUMP_OK = 0
const KDUMP_ERR_NODATA = 3
/** The space that a dump is kept in: reading kernel physical addresses would set up page table walks first. */
const KDUMP_MACHPHYSADDR = 1
const KDUMP_NUMBER = 2
const KDUMP_ADDRESS = 3
const KDUMP_STRING = 4
/** struct kdump_attr: an int, padding, a union of 8 bytes. */
const ATTR_BYTES = 16
const ATTR_VALUE = 8

/** A dump as libkdumpfile, the library under drgn, reads it. */
export interface Kdumpfile extends Disposable {
  /** As the library calls it: `diskdump`, `elf`. */
  readonly format: string
  /**
   * Fills all of `into` from the physical address `address`. Returns false where the dump does not hold the memory.
   * Throws LabError with the library's own words for everything else.
   */
  read(address: number, into: Uint8Array): boolean
  /** A numeric attribute such as `arch.page_size`, `cpu.number` or `max_pfn`; undefined when it is not set. */
  number(key: string): bigint | undefined
  /** A text attribute such as `linux.uts.release` or `linux.vmcoreinfo.lines.OSRELEASE`. */
  text(key: string): string | undefined
}

/** Opens `path` with the machine's libkdumpfile. Throws LabError when the library is missing or refuses the file. */
export function openKdumpfile(path: string): Kdumpfile {
  const library = loadKdumpfile()
  const fd = openSync(path, 'r')
  const context = library.create()
  const close = (): void => {
    library.free(context)
    closeSync(fd)
  }
  const check = (status: number, what: string): void => {
    if (status === KDUMP_OK) return
    throw new LabError(`libkdumpfile, ${what} of ${path}: ${library.lastError(context)} (status ${status})`)
  }
  const attribute = (key: string): DataView | undefined => {
    const bytes = new Uint8Array(ATTR_BYTES)
    if (library.getAttribute(context, key, bytes) !== KDUMP_OK) return undefined
    return new DataView(bytes.buffer)
  }
  const text = (key: string): string | undefined => {
    const found = attribute(key)
    if (found?.getInt32(0, true) !== KDUMP_STRING) return undefined
    return koffi.decode(found.getBigUint64(ATTR_VALUE, true), 'char', -1)
  }
  try {
    const attr = new DataView(new ArrayBuffer(ATTR_BYTES))
    attr.setInt32(0, KDUMP_NUMBER, true)
    attr.setBigUint64(ATTR_VALUE, BigInt(fd), true)
    check(library.setAttribute(context, 'file.fd', new Uint8Array(attr.buffer)), 'opening')
    return {
      format: text('file.format') ?? '',
      text,
      number(key) {
        const found = attribute(key)
        const type = found?.getInt32(0, true)
        return type === KDUMP_NUMBER || type === KDUMP_ADDRESS ? found?.getBigUint64(ATTR_VALUE, true) : undefined
      },
      read(address, into) {
        const length = new BigUint64Array([BigInt(into.length)])
        const status = library.read(context, KDUMP_MACHPHYSADDR, address, into, length)
        if (status === KDUMP_ERR_NODATA) return false
        check(status, `reading address 0x${address.toString(16)}`)
        return true
      },
      [Symbol.dispose]: close,
    }
  } catch (error) {
    close()
    throw error
  }
}

interface KdumpfileLibrary {
  create: () => unknown
  free: (context: unknown) => void
  lastError: (context: unknown) => string
  setAttribute: (context: unknown, key: string, attr: Uint8Array) => number
  getAttribute: (context: unknown, key: string, attr: Uint8Array) => number
  read: (context: unknown, space: number, address: number, into: Uint8Array, length: BigUint64Array) => number
}

let loaded: KdumpfileLibrary | undefined

function loadKdumpfile(): KdumpfileLibrary {
  if (loaded) return loaded
  let library
  try {
    library = koffi.load('libkdumpfile.so.10')
  } catch (cause) {
    throw new LabError('no libkdumpfile.so.10 on this machine; run npm run setup (Debian: libkdumpfile10)', { cause })
  }
  loaded = {
    create: library.func('kdump_new', 'void *', []),
    free: library.func('kdump_free', 'void', ['void *']),
    lastError: library.func('kdump_get_err', 'str', ['void *']),
    setAttribute: library.func('kdump_set_attr', 'int', ['void *', 'str', 'void *']),
    getAttribute: library.func('kdump_get_attr', 'int', ['void *', 'str', '_Out_ uint8_t *']),
    read: library.func('kdump_read', 'int', ['void *', 'int', 'uint64_t', '_Out_ uint8_t *', '_Inout_ uint64_t *']),
  }
  return loaded
}
