import { adviseHugePages } from '@ullage/native'

const PAGE_BYTES = 4096

/** Memory for `bytes` bytes of pages. */
export function makePageStore(bytes: number): SharedArrayBuffer {
  const store = new SharedArrayBuffer(bytes)
  adviseHugePages(store)
  return store
}

/** The same, with all of it at hand: no page of it is missing when it is first written. */
export function makeReadyPageStore(bytes: number): SharedArrayBuffer {
  const store = makePageStore(bytes)
  const touched = new Uint8Array(store)
  for (let at = 0; at < bytes; at += PAGE_BYTES) touched[at] = 0
  return store
}
