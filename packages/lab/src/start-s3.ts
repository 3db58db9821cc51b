import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { collectStderr, killAndWait, spawnBound } from './bound-process.ts'
import { startJanitor } from './janitor.ts'
import { LabError } from './lab-error.ts'
import { waitUntil } from './wait-until.ts'

/** A private S3 server. It dies with this process, and its folder with it. */
export interface LabS3 extends AsyncDisposable {
  readonly endpoint: string
  readonly port: number
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Process id of the server that answers requests. */
  readonly pid: number
  makeBucket(bucket: string): Promise<void>
  /** The keys of all objects in a bucket, and of all uploads that are neither completed nor aborted: `KEY?uploadId=…`. */
  objects(bucket: string): Promise<string[]>
}

const DEVICE = 'd1'
const STORES = ['account', 'container', 'object'] as const

/**
 * Starts OpenStack Swift with its S3 API (Debian's swift-proxy and its three stores, one process each) on free ports of the
 * loopback address. It knows multipart uploads, ranges, If-Match and checks the signed SHA-256 of what is sent; it has no
 * conditional puts and ignores `x-amz-checksum-*`.
 */
export async function startS3(options: { signal?: AbortSignal } = {}): Promise<LabS3> {
  await using cleanup = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'ullage-s3-'))
  const janitor = startJanitor({ paths: [folder] })
  cleanup.defer(() => janitor.clean())
  mkdirSync(join(folder, 'devices', DEVICE), { recursive: true })
  const [proxyPort = 0, ...ports] = await freePorts(1 + STORES.length)
  const servers = STORES.map((name, index) => {
    makeRing(folder, name, ports[index] as number)
    return start(folder, name, storeConfig(folder, name, ports[index] as number))
  })
  const proxy = start(folder, 'proxy', proxyConfig(folder, proxyPort))
  for (const { child } of [...servers, proxy]) cleanup.defer(() => killAndWait(child))
  const endpoint = `http://127.0.0.1:${proxyPort}`
  await waitUntil(
    async () => {
      for (const { child, name, stderr } of [...servers, proxy]) {
        if (child.exitCode !== null) throw new LabError(`swift-${name}-server ended: ${stderr()}`)
      }
      return (await Promise.all([proxyPort, ...ports].map(answers))).every(Boolean)
    },
    { what: () => 'the S3 server does not answer', timeoutMs: 90_000, signal: options.signal },
  )
  const credentials = { accessKeyId: 'test:tester', secretAccessKey: 'testing' }
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials })
  cleanup.defer(() => client.destroy())
  const resources = cleanup.move()
  return {
    endpoint,
    port: proxyPort,
    credentials,
    pid: proxy.child.pid ?? 0,
    async makeBucket(bucket) {
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
    },
    objects: (bucket) => listAll(client, bucket),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function start(folder: string, name: string, config: string) {
  const path = join(folder, `${name}.conf`)
  writeFileSync(path, config)
  const child = spawnBound([`swift-${name}-server`, path], ['ignore', 'ignore', 'pipe'])
  return { child, name, stderr: collectStderr(child) }
}

/** One copy of everything, on one device. */
function makeRing(folder: string, name: string, port: number): void {
  const builder = join(folder, `${name}.builder`)
  const run = (...args: string[]) => execFileSync('swift-ring-builder', [builder, ...args], { stdio: 'pipe' })
  run('create', '4', '1', '1')
  run('add', `r1z1-127.0.0.1:${port}/${DEVICE}`, '1')
  run('rebalance')
}

function storeConfig(folder: string, name: string, port: number): string {
  return `[DEFAULT]
devices = ${join(folder, 'devices')}
mount_check = false
disable_fallocate = true
${common(folder, port)}
[pipeline:main]
pipeline = ${name}-server
[app:${name}-server]
use = egg:swift#${name}
`
}

function proxyConfig(folder: string, port: number): string {
  const filters = ['catch_errors', 'gatekeeper', 'healthcheck', 'listing_formats', 'copy', 'slo', 'dlo']
  return `[DEFAULT]
${common(folder, port)}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
${filters.map((name) => `[filter:${name}]\nuse = egg:swift#${name}`).join('\n')}
`
}

function common(folder: string, port: number): string {
  return `bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = ${userInfo().username}
swift_dir = ${folder}
log_level = ERROR`
}

async function listAll(client: S3Client, bucket: string): Promise<string[]> {
  const [objects, uploads] = [
    await client.send(new ListObjectsV2Command({ Bucket: bucket })),
    await client.send(new ListMultipartUploadsCommand({ Bucket: bucket })),
  ]
  return [
    ...(objects.Contents ?? []).map(({ Key }) => `${Key}`),
    ...(uploads.Uploads ?? []).map(({ Key, UploadId }) => `${Key}?uploadId=${UploadId}`),
  ]
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            resolve(typeof address === 'object' && address ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthcheck`, { signal: AbortSignal.timeout(5_000) })
    await response.arrayBuffer()
    return true
  } catch {
    return false
  }
}
