import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import type { PublishedReport } from '@ullage/dump-job'
import { FaultProxy, type LabS3, startS3 } from '@ullage/lab'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { ArtifactStore, Attempt } from '../src/artifact-store.ts'
import { startDelivery } from '../src/deliver.ts'
import { openStore } from '../src/open-store.ts'
import { readStoreConfig } from '../src/store-config.ts'
import { reportOf as reportOfBytes } from './report-of.ts'

/** A real S3 server (OpenStack Swift with its S3 API), and a proxy of ours in front of it that does the harm. */
export let server: LabS3
export let proxy: FaultProxy
let client: S3Client
export const folder = mkdtempSync(join(tmpdir(), 'ullage-s3-test-'))
export const keyFile = join(folder, 'key')
writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
export const PART_BYTES = 5 * 1024 * 1024

beforeAll(async () => {
  server = await startS3()
  proxy = await FaultProxy.start(server.port)
  client = new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: server.credentials,
  })
  await server.makeBucket('bucket')
})
beforeEach(() => proxy.reset())
afterAll(async () => {
  client.destroy()
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

export function open(
  options: { host?: string; prefix?: string; env?: Record<string, string> } = {},
): Promise<ArtifactStore> {
  const { host = 'h1', prefix = randomUUID(), env = {} } = options
  const config = readStoreConfig({
    ULLAGE_ARTIFACTS: `s3://bucket/${prefix}`,
    ULLAGE_S3_ENDPOINT: proxy.endpoint,
    ULLAGE_S3_PART_BYTES: String(PART_BYTES),
    ULLAGE_S3_TIMEOUT_SECONDS: '6',
    ULLAGE_S3_ATTEMPTS: '3',
    AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
    ...env,
  })
  return openStore(config, { host, spoolDir: join(folder, `spool-${host}`) })
}

/** A report of an artifact with this content. */
export function reportOf(content: Buffer): PublishedReport {
  return reportOfBytes(content.length, createHash('sha256').update(content).digest('hex'))
}

/** Writes the file at once, and delivers it. */
export async function deliver(attempt: Attempt, content: Buffer) {
  writeFileSync(attempt.output, content)
  await using underWay = await startDelivery(attempt.delivery)
  return await underWay.finish(attempt.output)
}

/** An attempt from its beginning to its end, as the worker makes it. */
export async function publish(store: ArtifactStore, dump: string, content: Buffer): Promise<PublishedReport> {
  const attempt = await store.begin(dump)
  try {
    return await attempt.publish(reportOf(content), await deliver(attempt, content))
  } finally {
    await attempt.remove()
  }
}

export async function read(
  store: ArtifactStore,
  dump: string,
  range: [number, number] = [0, Number.POSITIVE_INFINITY],
) {
  const artifact = await store.open(dump)
  if (!artifact) return undefined
  const pieces: Uint8Array[] = []
  for await (const piece of artifact.read(range[0], Math.min(range[1], artifact.sizeBytes))) pieces.push(piece)
  await artifact.close()
  return Buffer.concat(pieces)
}

/** What lies under a prefix, by the server's own word: objects and unfinished uploads. */
export async function left(prefix: string) {
  const objects = await client.send(new ListObjectsV2Command({ Bucket: 'bucket', Prefix: `${prefix}/` }))
  const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket: 'bucket', Prefix: `${prefix}/` }))
  return { objects: (objects.Contents ?? []).map(({ Key }) => Key), uploads: (uploads.Uploads ?? []).length }
}

export const nothing = { objects: [], uploads: 0 }
export const content = randomBytes(2 * PART_BYTES + 12_345)
