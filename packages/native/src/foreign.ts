import type { LibraryHandle } from 'koffi'
import { koffi } from './koffi.ts'

type Declare = (name: string, result: string, parameters: string[]) => ReturnType<LibraryHandle['func']>

/**
 * The C library this process already runs on (glibc or musl): every symbol below is resolved in it, when it is first called.
 */
export const libc: { readonly func: Declare } = {
  func(name, result, parameters) {
    let declared: ReturnType<Declare> | undefined
    const call = (...values: unknown[]): unknown => {
      declared ??= koffi().load(null).func(name, result, parameters)
      return declared(...values)
    }
    return call as ReturnType<Declare>
  },
}

/** A shared library by its soname, or undefined when this machine does not have it. */
export type LibraryLoader = (soname: string) => LibraryHandle | undefined

export const loadLibrary: LibraryLoader = (soname) => {
  try {
    return koffi().load(soname)
  } catch (error) {
    // dlopen has no code for "not there": it is the only failure that a loader may answer with undefined.
    if (error instanceof Error && /cannot open shared object file|No such file/.test(error.message)) return undefined
    throw error
  }
}

/** errno of the last foreign call of this thread. */
export function lastErrno(): number {
  return koffi().errno()
}
