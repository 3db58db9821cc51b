import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import type { PublishedReport } from '@ullage/dump-job'
import { type LabS3, startS3 } from '@ullage/lab'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ArtifactStore, Attempt } from '../src/artifact-store.ts'
import { startDelivery } from '../src/deliver.ts'
import { openStore } from '../src/open-store.ts'
import { readStoreConfig } from '../src/store-config.ts'
import { type Fault, FaultProxy, kindOf } from './fault-proxy.ts'

/** A real S3 server (OpenStack Swift with its S3 API), and a proxy of ours in front of it that does the harm. */
let server: LabS3
let proxy: FaultProxy
let client: S3Client
const folder = mkdtempSync(join(tmpdir(), 'ullage-s3-test-'))
const keyFile = join(folder, 'key')
writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
const PART_BYTES = 5 * 1024 * 1024

beforeAll(async () => {
  server = await startS3()
  proxy = await FaultProxy.start(server.port)
  client = new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: server.credentials,
  })
  await client.send(new CreateBucketCommand({ Bucket: 'bucket' }))
})
beforeEach(() => proxy.reset())
afterAll(async () => {
  client.destroy()
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

function open(options: { host?: string; prefix?: string; env?: Record<string, string> } = {}): Promise<ArtifactStore> {
  const { host = 'h1', prefix = randomUUID(), env = {} } = options
  const config = readStoreConfig({
    ULLAGE_ARTIFACTS: `s3://bucket/${prefix}`,
    ULLAGE_S3_ENDPOINT: proxy.endpoint,
    ULLAGE_S3_PART_BYTES: String(PART_BYTES),
    ULLAGE_S3_TIMEOUT_SECONDS: '1',
    ULLAGE_S3_ATTEMPTS: '3',
    AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
    ...env,
  })
  return openStore(config, { host, spoolDir: join(folder, `spool-${host}`) })
}

function reportOf(content: Buffer): PublishedReport {
  const sha256 = createHash('sha256').update(content).digest('hex')
  return {
    schema: 'ullage.report/1',
    guest: { backend: 'xen', kernel: null, vmcoreinfo: 'none', pageSize: 4096 },
    frames: { total: 0, byClass: {}, byFate: { write: 0, zero: 0, leaveOut: 0 } },
    disagreements: { reclaimableBytes: 0, untouched: 0, inUseUnbacked: 0, offlineUntold: 0, alarm: false },
    hostMemory: { backedBytesBefore: 0, backedBytesAfter: 0, residentBytesBefore: 0, residentBytesAfter: 0 },
    trust: 'guest',
    warnings: [],
    consistency: { mode: 'file', pausedMs: 0 },
    process: { peakBytes: 1 },
    artifact: { file: 'vmcore', bytes: content.length, sha256, format: 'kdump', compression: 'zstd', level: 31 },
    timingsMs: { classify: 0, write: 0, verify: 0, total: 0 },
  }
}

/** Writes the file at once, and delivers it. */
async function deliver(attempt: Attempt, content: Buffer) {
  writeFileSync(attempt.output, content)
  await using underWay = await startDelivery(attempt.delivery)
  return await underWay.finish(attempt.output)
}

/** An attempt from its beginning to its end, as the worker makes it. */
async function publish(store: ArtifactStore, dump: string, content: Buffer): Promise<PublishedReport> {
  const attempt = await store.begin(dump)
  try {
    return await attempt.publish(reportOf(content), await deliver(attempt, content))
  } finally {
    await attempt.remove()
  }
}

async function read(store: ArtifactStore, dump: string, range: [number, number] = [0, Number.POSITIVE_INFINITY]) {
  const artifact = await store.open(dump)
  if (!artifact) return undefined
  const pieces: Uint8Array[] = []
  for await (const piece of artifact.read(range[0], Math.min(range[1], artifact.sizeBytes))) pieces.push(piece)
  await artifact.close()
  return Buffer.concat(pieces)
}

/** What lies under a prefix, by the server's own word: objects and unfinished uploads. */
async function left(prefix: string) {
  const objects = await client.send(new ListObjectsV2Command({ Bucket: 'bucket', Prefix: `${prefix}/` }))
  const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket: 'bucket', Prefix: `${prefix}/` }))
  return { objects: (objects.Contents ?? []).map(({ Key }) => Key), uploads: (uploads.Uploads ?? []).length }
}

const nothing = { objects: [], uploads: 0 }
const content = randomBytes(2 * PART_BYTES + 12_345)

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
