import { expect, test } from 'vitest'
import { ReadyStore, tryMakePageStore } from './page-store.ts'

/** More than an address space has. */
const TOO_MUCH = 2 ** 52

test('what there is no room for is not had, and is no error', () => {
  expect(tryMakePageStore(TOO_MUCH)).toBeUndefined()
  const store = new ReadyStore()
  store.makeReady(TOO_MUCH)
  expect(store.take(1)).toBeUndefined()
})

test('what is ready is given away once', () => {
  const store = new ReadyStore()
  expect(store.take(1)).toBeUndefined()
  store.makeReady(8192)
  expect(store.take(8192)?.byteLength).toBe(8192)
  expect(store.take(1)).toBeUndefined()
})

test('what is too small is given up', () => {
  const store = new ReadyStore()
  store.makeReady(4096)
  expect(store.take(8192)).toBeUndefined()
  expect(store.take(4096)).toBeUndefined()
})
