import { randomUUID } from 'node:crypto'
import { openSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { kindOf } from '@ullage/lab'
import { expect, test } from 'vitest'
import { startDelivery } from '../src/deliver.ts'
import {
  content,
  deliver,
  folder,
  keyFile,
  left,
  nothing,
  open,
  PART_BYTES,
  proxy,
  publish,
  read,
  reportOf,
} from './s3-under-test.ts'

test.each([
  ['as it is', {}],
  ['encrypted', { ULLAGE_KEY_FILE: keyFile }],
])('an artifact comes back whole and by ranges, %s', async (_, env) => {
  const prefix = randomUUID()
  await using store = await open({ prefix, env })
  await store.prepare()
  const dump = randomUUID()
  expect(await store.report(dump)).toBeUndefined()
  expect(await store.open(dump)).toBeUndefined()
  expect(await publish(store, dump, content)).toEqual(reportOf(content))
  expect(await store.report(dump)).toEqual(reportOf(content))
  expect((await read(store, dump))?.equals(content)).toBe(true)
  for (const range of [
    [0, 1],
    [PART_BYTES - 3, PART_BYTES + 3],
    [65_530, 131_080],
    [content.length - 1, content.length],
  ]) {
    const [start, end] = range as [number, number]
    expect(await read(store, dump, [start, end])).toEqual(content.subarray(start, end))
  }
  expect((await store.stat(dump))?.storedBytes).toBeGreaterThanOrEqual(content.length)
  const listed = []
  for await (const each of store.list()) listed.push(each)
  expect(listed).toMatchObject([{ dump, storedBytes: (await store.stat(dump))?.storedBytes }])
  expect(readdirSync(join(folder, 'spool-h1'))).toEqual([])
  await store.remove(dump)
  await store.remove(dump)
  expect(await store.report(dump)).toBeUndefined()
  expect(await left(prefix)).toEqual(nothing)
})

test.each([
  ['as it is', {}],
  ['encrypted', { ULLAGE_KEY_FILE: keyFile }],
])('parts go while the file is written, head last, %s', async (_, env) => {
  await using store = await open({ env })
  const dump = randomUUID()
  const attempt = await store.begin(dump)
  const fd = openSync(attempt.output, 'w')
  await using underWay = await startDelivery(attempt.delivery)
  underWay.follower?.begin({ path: attempt.output, atMostBytes: content.length * 2 })
  const write = (start: number, end: number) => {
    writeSync(fd, content, start, end - start, start)
    underWay.follower?.wrote(start, end - start)
  }
  const HEAD = 300_000
  for (let at = HEAD; at < content.length; at += 1_000_003) write(at, Math.min(content.length, at + 1_000_003))
  await expect.poll(() => proxy.seen.filter(({ url }) => kindOf(url) === 'part').length, { timeout: 20_000 }).toBe(1)
  write(0, HEAD)
  const delivered = await underWay.finish(attempt.output)
  expect(delivered.parts.map(({ number }) => number)).toEqual([1, 2, 3])
  // The middle one went first: the first had no head yet, of the last nobody knew that it was.
  expect(proxy.seen.find(({ url }) => kindOf(url) === 'part')?.url).toContain('partNumber=2')
  await attempt.publish(reportOf(content), delivered)
  await attempt.remove()
  expect((await read(store, dump))?.equals(content)).toBe(true)
})

test('a removal that was cut short is ended by the next one', async () => {
  const prefix = randomUUID()
  await using store = await open({ prefix, env: { ULLAGE_S3_ATTEMPTS: '1' } })
  const [dump, other] = [randomUUID(), randomUUID()]
  for (const each of [dump, other]) await publish(store, each, Buffer.from(each))
  proxy.choose = ({ method, url }) => (method === 'DELETE' && kindOf(url) === 'artifact' ? 'answer500' : 'pass')
  await expect(store.remove(dump)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  proxy.reset()
  await store.remove(dump)
  expect((await left(prefix)).objects.map((key) => key?.includes(other))).toEqual([true, true])
  expect(await read(store, other)).toEqual(Buffer.from(other))
})

test('of two attempts the first to publish stands, and the second leaves nothing', async () => {
  const prefix = randomUUID()
  await using store = await open({ prefix })
  const dump = randomUUID()
  const [first, second] = [await store.begin(dump), await store.begin(dump)]
  const [one, two] = [Buffer.from('first'), Buffer.from('the second')]
  const delivered = [await deliver(first, one), await deliver(second, two)] as const
  expect(await first.publish(reportOf(one), delivered[0])).toEqual(reportOf(one))
  expect(await second.publish(reportOf(two), delivered[1])).toEqual(reportOf(one))
  await first.remove()
  await second.remove()
  expect(await read(store, dump)).toEqual(one)
  expect((await left(prefix)).objects).toHaveLength(2)
})

test('at its start a host removes what its own attempts left, and nothing else', async () => {
  const prefix = randomUUID()
  await using ours = await open({ prefix })
  await using theirs = await open({ prefix, host: 'h2' })
  const [published, dead] = [randomUUID(), randomUUID()]
  await publish(ours, published, content)
  const died = await ours.begin(dead)
  await deliver(died, content)
  const atWork = await theirs.begin(dead)
  const going = await deliver(atWork, content)
  await ours.prepare()
  expect(await left(prefix)).toMatchObject({ uploads: 1 })
  await atWork.publish(reportOf(content), going)
  await atWork.remove()
  expect((await read(ours, published))?.equals(content)).toBe(true)
  expect((await read(ours, dead))?.equals(content)).toBe(true)
  await theirs.begin(randomUUID())
  expect(await ours.removeOrphans(3_600_000)).toBe(0)
  expect(await ours.removeOrphans(-10_000)).toBe(1)
  expect(await left(prefix)).toMatchObject({ uploads: 0 })
  expect((await read(ours, dead))?.equals(content)).toBe(true)
})

test('wrong credentials, and a bucket that is not there, are refused at once and say so', async () => {
  await using wrong = await open({ env: { AWS_SECRET_ACCESS_KEY: 'not it' } })
  await expect(wrong.begin(randomUUID())).rejects.toMatchObject({
    code: 'STORE_REFUSED',
    message: expect.not.stringContaining('not it'),
  })
  await using nowhere = await open({ env: { ULLAGE_ARTIFACTS: 's3://no-such-bucket/x' } })
  await expect(nowhere.prepare()).rejects.toMatchObject({ code: 'STORE_REFUSED' })
  expect(proxy.seen.every(({ fault }) => fault === 'pass')).toBe(true)
})
