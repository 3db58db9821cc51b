import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FaultProxy, type LabS3, startS3 } from '@ullage/lab'
import type { ArtifactPlace } from './artifact-place.ts'

const BUCKET = 'bucket'
const PREFIX = 'dumps-of-faults'

/** Artifacts on an S3 server, encrypted, behind a proxy that does the harm. */
export class S3Place implements ArtifactPlace {
  readonly proxy: FaultProxy
  /** Settings of API and worker. */
  readonly env: Readonly<Record<string, string>>
  readonly #server: LabS3
  readonly #folder: string
  /** By dump, the keys of artifacts that its report was seen to name. */
  readonly #published = new Map<string, Set<string>>()

  private constructor(server: LabS3, proxy: FaultProxy) {
    this.#server = server
    this.proxy = proxy
    this.#folder = mkdtempSync(join(tmpdir(), 'ullage-s3-faults-'))
    proxy.onServed = ({ method, url, body, status }) => {
      if (method === 'PUT' && status < 300) this.#note(url, body)
    }
    const keyFile = join(this.#folder, 'key')
    writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
    this.env = {
      ULLAGE_ARTIFACTS: `s3://${BUCKET}/${PREFIX}`,
      ULLAGE_S3_ENDPOINT: proxy.endpoint,
      ULLAGE_S3_PART_BYTES: String(5 << 20),
      ULLAGE_S3_TIMEOUT_SECONDS: '2',
      ULLAGE_S3_ATTEMPTS: '2',
      ULLAGE_KEY_FILE: keyFile,
      AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
    }
  }

  /** What a report that the server has taken says. */
  #note(url: string, body: Buffer): void {
    const dump = reportOf(decodeURIComponent(url).slice(`/${BUCKET}/`.length).split('?')[0] ?? '')
    if (dump === undefined) return
    const { stored } = JSON.parse(body.toString()) as { stored: { key: string } }
    this.#published.set(dump, (this.#published.get(dump) ?? new Set()).add(stored.key))
  }

  static async start(): Promise<S3Place> {
    const server = await startS3()
    await server.makeBucket(BUCKET)
    return new S3Place(server, await FaultProxy.start(server.port))
  }

  begin(): void {
    this.proxy.reset()
    this.#published.clear()
  }

  async timesPublished(dump: string): Promise<number> {
    return this.#published.get(dump)?.size ?? 0
  }

  async unfinished(succeeded: (dump: string) => boolean): Promise<string[]> {
    const names = await this.#server.objects(BUCKET)
    const there = new Set(names)
    return names.filter((name) => {
      const dump = artifactOf(name) ?? reportOf(name)
      if (dump === undefined || !succeeded(dump)) return true
      // Of dumps of earlier faults it is not known any more what their reports name.
      const keys = [...(this.#published.get(dump) ?? [])]
      return (
        keys.length > 0 && !(keys.includes(name) || (reportOf(name) === dump && keys.some((key) => there.has(key))))
      )
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]()
    await this.#server[Symbol.asyncDispose]()
    rmSync(this.#folder, { recursive: true })
  }
}

function artifactOf(name: string): string | undefined {
  return new RegExp(`^${PREFIX}/hosts/[^/]+/([^/]+)/[^/?]+\\.vmcore$`).exec(name)?.[1]
}

function reportOf(name: string): string | undefined {
  return new RegExp(`^${PREFIX}/dumps/([^/?]+)\\.json$`).exec(name)?.[1]
}
