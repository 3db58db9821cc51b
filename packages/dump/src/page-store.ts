import { adviseHugePages } from '@ullage/native'

const PAGE_BYTES = 4096

/** Memory for `bytes` bytes of pages. */
export function makePageStore(bytes: number): SharedArrayBuffer {
  const store = new SharedArrayBuffer(bytes)
  adviseHugePages(store)
  return store
}

/** The same; undefined when this machine has no room for it. */
export function tryMakePageStore(bytes: number): SharedArrayBuffer | undefined {
  try {
    return makePageStore(bytes)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Memory for pages that is made ready before it is known how many there are. */
export class ReadyStore {
  #store: SharedArrayBuffer | undefined

  /** Makes `bytes` bytes ready, if there is room: no page of them is missing when it is first written. */
  makeReady(bytes: number): void {
    this.#store = tryMakePageStore(bytes)
    if (!this.#store) return
    const touched = new Uint8Array(this.#store)
    for (let at = 0; at < bytes; at += PAGE_BYTES) touched[at] = 0
  }

  /** Gives away what is ready if `bytes` bytes fit; if not, it is given up, so that more can be had instead. */
  take(bytes: number): SharedArrayBuffer | undefined {
    const store = this.#store
    this.#store = undefined
    return store && store.byteLength >= bytes ? store : undefined
  }
}
