import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyArtifact } from '@ullage/dump'
import type { DumpResource } from '@ullage/dump-job'
import { FaultProxy, type LabS3, startS3 } from '@ullage/lab'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { keptGuest } from './kept-guest.ts'
import { Service } from './start-service.ts'

/** For whatever a test writes. */
export const files = mkdtempSync(join(tmpdir(), 'ullage-storage-'))
export const keyFile = join(files, 'key')
writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
export let server: LabS3
export let proxy: FaultProxy
let guest: object

beforeAll(async () => {
  server = await startS3()
  await server.makeBucket('bucket')
  proxy = await FaultProxy.start(server.port)
  guest = await keptGuest()
})
beforeEach(() => proxy.reset())
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  rmSync(files, { recursive: true })
})

/** What the test at hand has started. */
export let service: Service
afterEach(() => service?.[Symbol.asyncDispose]())

/** Starts API and worker, who know the kept guest. */
export async function start(env: Record<string, string>): Promise<void> {
  service = await Service.start({ env })
  service.describe('kept', guest)
  await service.startWorker()
}

/** Settings for the S3 server, reached through the proxy, with encryption. */
export const onS3 = () => ({
  ULLAGE_ARTIFACTS: 's3://bucket/dumps-of-tests',
  ULLAGE_S3_ENDPOINT: proxy.endpoint,
  ULLAGE_S3_PART_BYTES: String(5 * 1024 * 1024),
  ULLAGE_S3_TIMEOUT_SECONDS: '2',
  ULLAGE_S3_ATTEMPTS: '2',
  AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
  ULLAGE_KEY_FILE: keyFile,
})

/** That what is served is the dump that was reported, each page of it, and that ranges are of it. */
export async function expectWhole(dump: DumpResource): Promise<void> {
  const address = `${dump.links.self}/artifact`
  const bytes = Buffer.from(await (await service.request(address)).arrayBuffer())
  expect(dump.result?.artifact).toMatchObject({
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  })
  const path = join(files, dump.id)
  writeFileSync(path, bytes)
  expect((await verifyArtifact(path)).pages).toBeGreaterThan(1000)
  const range = await service.request(address, { headers: { range: 'bytes=65000-70000' } })
  expect(range.status).toBe(206)
  expect(Buffer.from(await range.arrayBuffer()).equals(bytes.subarray(65_000, 70_001))).toBe(true)
}
