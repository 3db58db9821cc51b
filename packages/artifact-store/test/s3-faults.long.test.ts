import { randomUUID } from 'node:crypto'
import { type Fault, kindOf } from '@ullage/lab'
import { expect, test } from 'vitest'
import { content, keyFile, left, nothing, open, proxy, publish, read, reportOf } from './s3-under-test.ts'

const once = (kind: string, fault: Fault) => (request: { url: string; nth: number }) =>
  kindOf(request.url) === kind && request.nth === 0 ? fault : 'pass'
const always = (kind: string, fault: Fault) => (request: { url: string }) =>
  kindOf(request.url) === kind ? fault : 'pass'

test.each<[string, string, Fault]>([
  ['500 to a part', 'part', 'answer500'],
  ['no answer to a part', 'part', 'hang'],
  ['a part that is cut off', 'part', 'cutRequest'],
  ['a part whose answer is lost', 'part', 'loseAnswer'],
  ['500 to the completion', 'complete', 'answer500'],
  ['no answer to the completion', 'complete', 'hang'],
  ['a completion whose answer is lost', 'complete', 'loseAnswer'],
  ['500 to the beginning', 'uploads', 'answer500'],
])('%s, once: the artifact is published, once and whole', async (_, kind, fault) => {
  const prefix = randomUUID()
  await using store = await open({ prefix })
  const dump = randomUUID()
  proxy.choose = once(kind, fault)
  await publish(store, dump, content)
  expect(proxy.seen.some((seen) => seen.fault === fault)).toBe(true)
  expect((await read(store, dump))?.equals(content)).toBe(true)
  // The lost answer to the beginning of an upload would leave one; none of these does.
  expect(await left(prefix)).toMatchObject({
    objects: [expect.stringMatching(/dumps/), expect.stringMatching(/hosts/)],
    uploads: 0,
  })
})

test.each<[string, string, Fault, string]>([
  ['500 to every part', 'part', 'answer500', 'STORE_UNAVAILABLE'],
  ['no answer to any part', 'part', 'hang', 'STORE_UNAVAILABLE'],
  ['every part cut off', 'part', 'cutRequest', 'STORE_UNAVAILABLE'],
  ['a part that is changed on its way', 'part', 'corruptRequest', 'STORE_REFUSED'],
  ['500 to every completion', 'complete', 'answer500', 'STORE_UNAVAILABLE'],
  ['no answer to any completion', 'complete', 'hang', 'STORE_UNAVAILABLE'],
])('%s: nothing is published, nothing is left, the code is right', async (_, kind, fault, code) => {
  const prefix = randomUUID()
  await using store = await open({ prefix })
  const dump = randomUUID()
  proxy.choose = (request: { method: string; url: string }) =>
    request.method === 'DELETE' ? 'pass' : always(kind, fault)(request)
  await expect(publish(store, dump, content)).rejects.toMatchObject({ name: 'StoreError', code })
  proxy.reset()
  expect(await store.report(dump)).toBeUndefined()
  expect(await store.open(dump)).toBeUndefined()
  expect(await left(prefix)).toEqual(nothing)
})

test('a report whose answer is lost is published all the same, and the artifact stays', async () => {
  await using store = await open()
  const dump = randomUUID()
  // The server knows no conditional puts and says so: that answer comes through.
  proxy.choose = ({ method, url, headers }) =>
    method === 'PUT' && kindOf(url) === 'report' && !headers['if-none-match'] ? 'loseAnswer' : 'pass'
  expect(await publish(store, dump, content)).toEqual(reportOf(content))
  expect(proxy.seen.filter(({ fault }) => fault === 'loseAnswer')).toHaveLength(3)
  proxy.reset()
  expect(await store.report(dump)).toEqual(reportOf(content))
  expect((await read(store, dump))?.equals(content)).toBe(true)
})

test('a report that never came leaves an artifact that nobody sees, until the next start', async () => {
  const prefix = randomUUID()
  await using store = await open({ prefix })
  const dump = randomUUID()
  proxy.choose = ({ method, url }) => (method === 'PUT' && kindOf(url) === 'report' ? 'answer500' : 'pass')
  await expect(publish(store, dump, content)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  proxy.reset()
  expect(await store.report(dump)).toBeUndefined()
  expect((await left(prefix)).objects).toHaveLength(1)
  await store.prepare()
  expect(await left(prefix)).toEqual(nothing)
})

test.each<[string, Fault]>([
  ['is cut off', 'cutAnswer'],
  ['is 500', 'answer500'],
  ['never comes', 'hang'],
])('an answer that %s is asked for again, from where it stopped', async (_, fault) => {
  await using store = await open({ env: { ULLAGE_KEY_FILE: keyFile } })
  const dump = randomUUID()
  await publish(store, dump, content)
  proxy.reset()
  proxy.choose = ({ method, url, nth }) =>
    method === 'GET' && kindOf(url) === 'artifact' && nth === 2 ? fault : 'pass'
  expect((await read(store, dump))?.equals(content)).toBe(true)
  expect(proxy.seen.some((seen) => seen.fault === fault)).toBe(true)
  proxy.choose = ({ method, url }) => (method === 'GET' && kindOf(url) === 'artifact' ? 'answer500' : 'pass')
  await expect(read(store, dump)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})
