import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { reportOf } from '../../test/report-of.ts'
import { Keyring } from '../keyring.ts'
import { S3Store } from './s3-store.ts'

const spoolDir = mkdtempSync(join(tmpdir(), 'ullage-s3-store-'))
afterAll(() => rmSync(spoolDir, { recursive: true }))

/** A store at a server that answers as it is told here. */
async function storeAt(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const store = new S3Store({
    place: {
      endpoint: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
      region: 'us-east-1',
      pathStyle: true,
      bucket: 'bucket',
      prefix: '',
      credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
      partBytes: 5 << 20,
      timeoutMs: 60_000,
      attempts: 3,
    },
    keys: new Keyring([]),
    writer: { host: 'h1', spoolDir },
  })
  const end = async () => {
    await store[Symbol.asyncDispose]()
    server.closeAllConnections()
    server.close()
  }
  return { store, [Symbol.asyncDispose]: end }
}

const completed = '<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>'
const begun = '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>'

test('whoever waits for storage that hangs can stop waiting', async () => {
  let hangs = false
  await using at = await storeAt((_, to) => {
    if (!hangs) to.writeHead(200, { 'content-type': 'application/xml' }).end(begun)
  })
  const attempt = await at.store.begin(randomUUID())
  hangs = true
  const started = performance.now()
  const soon = () => {
    const stop = new AbortController()
    setTimeout(() => stop.abort('enough'), 50)
    return stop.signal
  }
  await expect(at.store.report(randomUUID(), soon())).rejects.toBe('enough')
  await expect(at.store.begin(randomUUID(), soon())).rejects.toBe('enough')
  const delivered = { storedBytes: 0, parts: [] }
  await expect(attempt.publish(reportOf(0), delivered, soon())).rejects.toBe('enough')
  await expect(attempt.remove(soon())).rejects.toBe('enough')
  expect(performance.now() - started).toBeLessThan(20_000)
  expect(readdirSync(spoolDir)).toEqual([])
})

const none = {
  uploads: '<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>',
  objects: '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>',
}

test('the spool folder is emptied, and stays: it may be a mount point', async () => {
  await using at = await storeAt(({ url }, to) => {
    to.writeHead(200, { 'content-type': 'application/xml' }).end(url?.includes('uploads') ? none.uploads : none.objects)
  })
  chmodSync(spoolDir, 0o711)
  writeFileSync(join(spoolDir, 'left'), 'half of')
  await at.store.prepare()
  expect(readdirSync(spoolDir)).toEqual([])
  expect(statSync(spoolDir).mode & 0o777).toBe(0o711)
})

test('a report whose artifact was removed meanwhile is taken back, and none that has no artifact is told', async () => {
  const asked: string[] = []
  const report = JSON.stringify({ ...reportOf(7), stored: { key: 'hosts/h1/gone.vmcore', bytes: 7 } })
  await using at = await storeAt(({ method, url = '' }, to) => {
    const what = `${method} ${url.includes('/dumps/') ? 'report' : url.includes('uploads') ? 'uploads' : 'artifact'}`
    asked.push(what)
    // There when the upload was completed, gone when the report was put.
    const isGone = what === 'HEAD artifact' && asked.includes('PUT report')
    const length = what === 'HEAD artifact' ? { 'content-length': '7' } : {}
    to.writeHead(isGone ? 404 : 200, { 'content-type': 'application/xml', ...length })
    to.end(what === 'POST uploads' ? begun : what === 'POST artifact' ? completed : what === 'GET report' ? report : '')
  })
  const attempt = await at.store.begin(randomUUID())
  const parts = [{ number: 1, etag: 'e' }]
  await expect(attempt.publish(reportOf(7), { storedBytes: 7, parts })).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringContaining('which is gone'),
  })
  expect(asked.slice(-3)).toEqual(['PUT report', 'HEAD artifact', 'DELETE report'])
  expect(await at.store.report(randomUUID())).toBeUndefined()
  await attempt.remove()
})

const day = 86_400_000
const ago = (ms: number) => new Date(Date.now() - ms).toISOString()

test('an upload that still gets parts after days is no orphan, others are', async () => {
  const dump = randomUUID()
  const upload = (id: string) =>
    `<Upload><Key>hosts/h2/${dump}/${id}.vmcore</Key><UploadId>${id}</UploadId><Initiated>${ago(3 * day)}</Initiated></Upload>`
  const part = (number: number, ms: number) =>
    `<Part><PartNumber>${number}</PartNumber><LastModified>${ago(ms)}</LastModified></Part>`
  const parts = (more: string, ...each: string[]) => `<ListPartsResult>${each.join('')}${more}</ListPartsResult>`
  const truncated = '<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>'
  const aborted: string[] = []
  await using at = await storeAt(({ method, url = '' }, to) => {
    const query = new URL(url, 'http://s3').searchParams
    const id = query.get('uploadId')
    if (id && method === 'DELETE') {
      aborted.push(id)
      return void to.writeHead(204).end()
    }
    const answers: Record<string, string> = {
      alive: query.has('part-number-marker') ? parts('', part(2, 60_000)) : parts(truncated, part(1, 2 * day)),
      dead: parts('', part(1, 2 * day)),
      empty: parts(''),
    }
    const uploads = `<ListMultipartUploadsResult>${['alive', 'dead', 'empty'].map(upload).join('')}</ListMultipartUploadsResult>`
    to.writeHead(200, { 'content-type': 'application/xml' })
    to.end(id ? answers[id] : query.has('uploads') ? uploads : none.objects)
  })
  expect(await at.store.removeOrphans(day)).toBe(2)
  expect(aborted).toEqual(['dead', 'empty'])
})

/** A store of dumps that all have this artifact; `give` answers for its bytes [start, end). */
function storeOf(bytes: number, give: (to: ServerResponse, start: number, end: number, etag: unknown) => void) {
  return storeAt(({ method, url = '', headers }, to) => {
    if (method === 'DELETE') return void to.writeHead(204).end()
    if (url.includes('/dumps/')) {
      return void to.end(JSON.stringify({ ...reportOf(bytes), stored: { key: 'hosts/h1/a.vmcore', bytes } }))
    }
    if (method === 'HEAD') return void to.writeHead(200, { 'content-length': bytes, etag: '"e"' }).end()
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(headers.range ?? '') ?? []
    to.writeHead(206, { 'content-length': Number(last) + 1 - Number(first) })
    give(to, Number(first), Number(last) + 1, headers['if-match'])
  })
}

const MiB = 1 << 20

test('a large artifact comes in pieces of one object, and what is cut off comes again', async () => {
  const content = randomBytes(40 * MiB)
  const asked: number[] = []
  const etags = new Set<unknown>()
  await using at = await storeOf(content.length, (to, start, end, etag) => {
    etags.add(etag)
    // The first look at it is for its header.
    if (asked.push(end - start) !== 3) return void to.end(content.subarray(start, end))
    to.write(content.subarray(start, start + 5 * MiB), () => to.destroy())
  })
  const artifact = await at.store.open(randomUUID())
  const pieces: Uint8Array[] = []
  for await (const piece of artifact?.read(7, content.length - 7) ?? []) pieces.push(piece)
  expect(Buffer.concat(pieces).equals(content.subarray(7, -7))).toBe(true)
  expect(asked).toHaveLength(5)
  expect(Math.max(...asked)).toBe(16 * MiB)
  expect([...etags]).toEqual(['"e"'])
})

test('downloads that nobody reads on with hold no connection, hold up nothing, and have little in memory', async () => {
  const asked: number[] = []
  let open = 0
  await using at = await storeOf(64 * MiB, (to, start, end) => {
    open++
    to.once('close', () => open--)
    asked.push(end - start)
    to.end(Buffer.alloc(end - start))
  })
  const readers: AsyncIterator<Uint8Array>[] = []
  for (let count = 0; count < 64; count++) {
    const artifact = await at.store.open(randomUUID())
    const reader = artifact?.read(0, artifact.sizeBytes)[Symbol.asyncIterator]()
    if (!reader) throw new Error('no artifact')
    expect((await reader.next()).done).toBe(false)
    readers.push(reader)
  }
  await expect.poll(() => open, { timeout: 10_000 }).toBe(0)
  expect(asked.at(-1)).toBe(MiB / 2)
  expect(asked.reduce((sum, bytes) => sum + bytes)).toBeLessThan(192 * MiB)
  expect(await at.store.report(randomUUID())).toMatchObject(reportOf(64 * MiB))
  for (const reader of readers) await reader.return?.()
})

test('answers that come slowly hold up content alone, and who waits for a piece hears that it is to end', async () => {
  await using at = await storeOf(64 * MiB, (to, start, end) => {
    if (end <= MiB) return void to.end(Buffer.alloc(end - start))
    to.write(Buffer.alloc(MiB))
  })
  const stop = new AbortController()
  const read = async () => {
    const artifact = await at.store.open(randomUUID())
    for await (const piece of artifact?.read(0, artifact.sizeBytes, stop.signal) ?? []) expect(piece[0]).toBe(0)
  }
  // As many as there are connections for content, once their artifacts are open.
  const reads = Promise.allSettled(Array.from({ length: 50 }, read))
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  const begun = performance.now()
  await at.store.report(randomUUID())
  await at.store.remove(randomUUID())
  stop.abort('enough')
  expect(await reads).toEqual(Array.from({ length: 50 }, () => ({ status: 'rejected', reason: 'enough' })))
  expect(performance.now() - begun).toBeLessThan(20_000)
})

/** A listing as S3 makes it of these keys: with `delimiter` of what is up to it alone. */
function listing(keys: Iterable<string>, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? ''
  const found = [...keys].filter((key) => key.startsWith(prefix))
  const folders = new Set(found.map((key) => `${prefix}${key.slice(prefix.length).split('/')[0]}/`))
  const each = query.has('delimiter')
    ? [...folders].map((folder) => `<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>`)
    : found.map(
        (key) => `<Contents><Key>${key}</Key><Size>1</Size><LastModified>${ago(3 * day)}</LastModified></Contents>`,
      )
  return `<ListBucketResult><IsTruncated>false</IsTruncated>${each.join('')}</ListBucketResult>`
}

/** A server with these objects, which have no content. */
function storeWith(objects: Set<string>) {
  return storeAt(({ method, url = '' }, to) => {
    const { pathname, searchParams } = new URL(url, 'http://s3')
    const key = pathname.replace(/^\/bucket\/?/, '')
    if (method === 'DELETE') return void to.writeHead(objects.delete(key) ? 204 : 404).end()
    if (key) return void to.writeHead(objects.has(key) ? 200 : 404).end()
    to.writeHead(200, { 'content-type': 'application/xml' })
    to.end(searchParams.has('uploads') ? none.uploads : listing(objects, searchParams))
  })
}

test('a dump whose report is damaged can be removed, and no other goes with it', async () => {
  const [dump, other] = [randomUUID(), randomUUID()]
  const others = [`dumps/${other}.json`, `hosts/h1/${other}/a.vmcore`, `hosts/h2/${other}/${dump}.vmcore`]
  const objects = new Set([`dumps/${dump}.json`, `hosts/h1/${dump}/a.vmcore`, `hosts/h2/${dump}/b.vmcore`, ...others])
  await using at = await storeWith(objects)
  await expect(at.store.report(dump)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  await at.store.remove(dump)
  expect([...objects]).toEqual(others)
  await at.store.remove(dump)
  expect(await at.store.report(dump)).toBeUndefined()
})

test('what a damaged report may have named is no orphan, and what nobody named is one all the same', async () => {
  const [dump, dead] = [randomUUID(), randomUUID()]
  const kept = [`dumps/${dump}.json`, `hosts/h1/${dump}/a.vmcore`, `hosts/h1/${dump}/b.vmcore`]
  const objects = new Set([...kept, `hosts/h1/${dead}/c.vmcore`])
  await using at = await storeWith(objects)
  expect(await at.store.removeOrphans(day)).toBe(1)
  expect([...objects]).toEqual(kept)
})
