import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dumpId, dumpReport, hostId, publishedFiles, type PublishedReport } from '@ullage/dump-job'
import { z } from 'zod'
import type { ArtifactStore, Attempt, OpenArtifact, StoredArtifact } from '../artifact-store.ts'
import type { Delivered } from '../delivery.ts'
import { emptyFolder } from '../files.ts'
import { FolderCalls } from '../folder-calls.ts'
import type { Keyring } from '../keyring.ts'
import { openStored } from '../open-sealed.ts'
import { StoreError } from '../store-error.ts'
import { openObject } from './read-object.ts'
import { type BucketObject, S3Bucket } from './s3-bucket.ts'
import { S3Connection } from './s3-connection.ts'
import type { S3Place } from './s3-place.ts'

/** What the published report says besides, of where the artifact is. */
const stored = z.object({ key: z.string(), bytes: z.int().min(0) })
type Stored = z.infer<typeof stored>

interface FoundObject extends BucketObject {
  readonly dump: string
}

export interface S3StoreOptions {
  readonly place: S3Place
  readonly keys: Keyring
  readonly writer?: { readonly host: string; readonly spoolDir: string } | undefined
}

/**
 * S3-compatible storage: reports at `dumps/ID.json`, artifacts at `hosts/HOST/ID/ATTEMPT.vmcore`, each attempt under a name of
 * its own. A dump is published when its report is there, which names the artifact: one small object, put whole or not at all.
 */
export class S3Store implements ArtifactStore {
  readonly #s3: S3Connection
  readonly #bucket: S3Bucket
  readonly #keys: Keyring
  readonly #writer: S3StoreOptions['writer']

  constructor({ place, keys, writer }: S3StoreOptions) {
    this.#s3 = new S3Connection(place)
    this.#bucket = new S3Bucket(this.#s3)
    this.#keys = keys
    this.#writer = writer
  }

  /** A bucket is its owner's to make. */
  async makePlace(): Promise<void> {}

  async prepare(): Promise<void> {
    const { host, spoolDir } = this.#writing
    await emptyFolder(spoolDir, new FolderCalls(spoolDir))
    await this.#removePieces(`${hostId.parse(host)}/`, Number.POSITIVE_INFINITY)
  }

  async report(dump: string, signal?: AbortSignal): Promise<PublishedReport | undefined> {
    const published = await this.#published(dump, signal)
    return published && (await this.#bucket.isThere(published.stored.key, signal)) ? published.report : undefined
  }

  async open(dump: string): Promise<OpenArtifact | undefined> {
    const published = await this.#published(dump)
    const object = published && (await openObject(this.#s3, published.stored.key))
    return object && (await openStored(object, dump, this.#keys))
  }

  async stat(dump: string): Promise<StoredArtifact | undefined> {
    const published = await this.#published(dump)
    return published && { dump, storedBytes: published.stored.bytes, publishedMs: published.publishedMs }
  }

  async remove(dump: string): Promise<void> {
    const published = await this.#published(dump).catch(damaged)
    // The report first: without it nobody finds the artifact.
    if (published) await this.#bucket.delete(this.#reportKey(dump))
    if (published && published !== 'damaged') return await this.#bucket.delete(published.stored.key)
    // The report is damaged and does not tell, or an earlier call got no further than it.
    for await (const host of this.#bucket.folders(this.#hostsPrefix)) {
      for await (const { key } of this.#bucket.objects(`${host}${dumpId.parse(dump)}/`)) await this.#bucket.delete(key)
    }
  }

  async *list(): AsyncGenerator<StoredArtifact> {
    const bytes = new Map<string, number>()
    for await (const { dump, bytes: more } of this.#artifacts('')) bytes.set(dump, (bytes.get(dump) ?? 0) + more)
    for await (const { dump, changedMs } of this.#reports()) {
      yield { dump, storedBytes: bytes.get(dump) ?? 0, publishedMs: changedMs }
    }
  }

  removeOrphans(olderThanMs: number): Promise<number> {
    return this.#removePieces('', Date.now() - olderThanMs)
  }

  async begin(dump: string, signal?: AbortSignal): Promise<Attempt> {
    const { host, spoolDir } = this.#writing
    const { place } = this.#s3
    const name = randomUUID()
    const key = `${this.#hostsPrefix}${hostId.parse(host)}/${dumpId.parse(dump)}/${name}.vmcore`
    const sealing = await this.#keys.newSealing(dump)
    const uploadId = await this.#bucket.createUpload(key, signal)
    const spool = join(spoolDir, `${dump}-${name}`)
    await mkdir(spool, { recursive: true, mode: 0o750 })
    const state = { published: false, uncertain: false }
    return {
      output: join(spool, publishedFiles.artifact),
      delivery: { kind: 'upload', place, key, uploadId, ...(sealing && { sealing }) },
      publish: (report, delivered, end) =>
        this.#publish({ dump, key, uploadId, report, delivered, state, signal: end }),
      remove: async (end) => {
        await rm(spool, { recursive: true, force: true })
        if (state.published) return
        await this.#bucket.abortUpload(key, uploadId, end)
        // Whether the report came through nobody knows: then the artifact is left to the next start, which can tell.
        if (!state.uncertain) await this.#bucket.delete(key, end)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#s3[Symbol.dispose]()
  }

  async #publish(options: {
    dump: string
    key: string
    uploadId: string
    report: PublishedReport
    delivered: Delivered
    state: { published: boolean; uncertain: boolean }
    signal: AbortSignal | undefined
  }): Promise<PublishedReport> {
    const { dump, key, uploadId, report, delivered, state, signal } = options
    await this.#bucket.completeUpload(key, uploadId, delivered, signal)
    const text = JSON.stringify({ ...report, stored: { key, bytes: delivered.storedBytes } satisfies Stored }, null, 2)
    state.uncertain = true
    const published = await this.#putReport(dump, text, signal).then(
      async (isOurs) => (isOurs ? undefined : await this.#publishedForSure(dump, signal)),
      async (error: unknown) => {
        // It may have come through all the same.
        const found = await this.#published(dump, signal).catch(() => undefined)
        if (found) return found
        throw error
      },
    )
    const standing = published?.stored.key ?? key
    if (!(await this.#bucket.isThere(standing, signal))) {
      await this.#bucket.delete(this.#reportKey(dump), signal)
      state.uncertain = false
      throw new StoreError(
        'STORE_UNAVAILABLE',
        `the report of dump ${dump} names ${standing}, which is gone: taken back`,
      )
    }
    state.uncertain = false
    // It may be our own: the answer to the first try was lost.
    state.published = standing === key
    return published?.report ?? report
  }

  async #publishedForSure(dump: string, signal: AbortSignal | undefined) {
    const published = await this.#published(dump, signal)
    if (published) return published
    throw new StoreError('STORE_UNAVAILABLE', `the report of dump ${dump} was there, and is not there any more`)
  }

  /** False when there is a report already. */
  async #putReport(dump: string, text: string, signal: AbortSignal | undefined): Promise<boolean> {
    const key = this.#reportKey(dump)
    const what = `the report ${key} could not be put`
    const put = await this.#bucket.putNew(what, key, text, signal)
    if (put !== 'unable') return put === 'put'
    // A server without conditional puts: the job's lock has decided who may publish.
    if (await this.#published(dump, signal)) return false
    await this.#bucket.putText(what, key, text, signal)
    return true
  }

  async #published(dump: string, signal?: AbortSignal) {
    const key = this.#reportKey(dump)
    const what = `the report ${key} could not be read`
    const found = await this.#bucket.readText(what, key, signal)
    if (!found) return undefined
    try {
      const { stored: where, ...report } = z.looseObject({ stored }).parse(JSON.parse(found.text))
      return { report: dumpReport.parse(report), stored: where, publishedMs: found.changedMs }
    } catch (cause) {
      throw new StoreError('STORE_CORRUPT', `${what}: it is no report`, { cause })
    }
  }

  async #removePieces(under: string, beforeMs: number): Promise<number> {
    let removed = 0
    for await (const upload of this.#bucket.uploads(this.#hostsPrefix + under)) {
      if (upload.begunMs >= beforeMs || (await this.#bucket.hasPartSince(beforeMs, upload))) continue
      await this.#bucket.abortUpload(upload.key, upload.uploadId)
      removed++
    }
    const objects: FoundObject[] = []
    for await (const object of this.#artifacts(under)) objects.push(object)
    const published = new Set<string>()
    for await (const { dump } of this.#reports()) published.add(dump)
    const counts = new Map<string, number>()
    for (const { dump } of objects) counts.set(dump, (counts.get(dump) ?? 0) + 1)
    for (const { key, dump, changedMs } of objects) {
      if (changedMs >= beforeMs) continue
      // One artifact and a report: its own. Of several the report tells which.
      const several = published.has(dump) && (counts.get(dump) ?? 0) > 1
      const isOurs = several ? await this.#mayBePublished(dump, key) : published.has(dump)
      if (isOurs) continue
      await this.#bucket.delete(key)
      removed++
    }
    return removed
  }

  /** Whether the report of `dump` names `key`, or is damaged and may have named it. */
  async #mayBePublished(dump: string, key: string): Promise<boolean> {
    const published = await this.#published(dump).catch(damaged)
    return published === 'damaged' || published?.stored.key === key
  }

  async *#artifacts(under: string): AsyncGenerator<FoundObject> {
    for await (const { key, bytes, changedMs } of this.#bucket.objects(this.#hostsPrefix + under)) {
      const dump = dumpId.safeParse(key.split('/').at(-2)).data
      if (dump !== undefined) yield { key, dump, bytes, changedMs }
    }
  }

  async *#reports(): AsyncGenerator<FoundObject> {
    const prefix = `${this.#s3.place.prefix}dumps/`
    for await (const { key, bytes, changedMs } of this.#bucket.objects(prefix)) {
      const dump = dumpId.safeParse(key.slice(prefix.length).replace(/\.json$/, '')).data
      if (dump !== undefined) yield { key, dump, bytes, changedMs }
    }
  }

  get #writing(): NonNullable<S3StoreOptions['writer']> {
    if (!this.#writer) throw new RangeError('this store was opened for reading')
    return this.#writer
  }

  get #hostsPrefix(): string {
    return `${this.#s3.place.prefix}hosts/`
  }

  #reportKey(dump: string): string {
    return `${this.#s3.place.prefix}dumps/${dumpId.parse(dump)}.json`
  }
}

/** For `catch`: of a report that is none; all else is thrown on. */
function damaged(error: unknown): 'damaged' {
  if (error instanceof StoreError && error.code === 'STORE_CORRUPT') return 'damaged'
  throw error
}
