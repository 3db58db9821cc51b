import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListPartsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { dumpId, dumpReport, hostId, publishedFiles, type PublishedReport } from '@ullage/dump-job'
import { z } from 'zod'
import type { ArtifactStore, Attempt, OpenArtifact, StoredArtifact } from '../artifact-store.ts'
import type { Delivered } from '../delivery.ts'
import { emptyFolder } from '../files.ts'
import type { Keyring } from '../keyring.ts'
import { openStored } from '../open-sealed.ts'
import { StoreError } from '../store-error.ts'
import { openObject } from './read-object.ts'
import { S3Connection } from './s3-connection.ts'
import { isNotFound, statusOf } from './s3-errors.ts'
import type { S3Place } from './s3-place.ts'

/** What the published report says besides, of where the artifact is. */
const stored = z.object({ key: z.string(), bytes: z.int().min(0) })
type Stored = z.infer<typeof stored>

interface FoundObject {
  readonly key: string
  readonly dump: string
  readonly bytes: number
  readonly changedMs: number
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
  readonly #keys: Keyring
  readonly #writer: S3StoreOptions['writer']

  constructor({ place, keys, writer }: S3StoreOptions) {
    this.#s3 = new S3Connection(place)
    this.#keys = keys
    this.#writer = writer
  }

  async prepare(): Promise<void> {
    const { host, spoolDir } = this.#writing
    await emptyFolder(spoolDir)
    await this.#removePieces(`${hostId.parse(host)}/`, Number.POSITIVE_INFINITY)
  }

  async report(dump: string, signal?: AbortSignal): Promise<PublishedReport | undefined> {
    const published = await this.#published(dump, signal)
    return published && (await this.#isThere(published.stored.key, signal)) ? published.report : undefined
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
    const published = await this.#published(dump)
    if (published) {
      // The report first: without it nobody finds the artifact.
      await this.#delete(this.#reportKey(dump))
      await this.#delete(published.stored.key)
      return
    }
    // An earlier call may have got no further than the report.
    for await (const host of this.#hosts()) {
      for await (const { key } of this.#objects(`${host}${dumpId.parse(dump)}/`)) await this.#delete(key)
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
    const uploadId = await this.#createUpload(key, signal)
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
        await this.#abort(key, uploadId, end)
        // Whether the report came through nobody knows: then the artifact is left to the next start, which can tell.
        if (!state.uncertain) await this.#delete(key, end)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#s3[Symbol.dispose]()
  }

  async #createUpload(key: string, signal: AbortSignal | undefined): Promise<string> {
    const command = new CreateMultipartUploadCommand({
      ...this.#s3.bucket,
      Key: key,
      ContentType: 'application/octet-stream',
      ChecksumAlgorithm: 'SHA256',
      ...this.#encryption,
    })
    const what = `the upload of ${key} could not be begun`
    const { UploadId } = await this.#s3.ask(what, (client, abortSignal) => client.send(command, { abortSignal }), {
      signal,
    })
    if (!UploadId) throw new StoreError('STORE_REFUSED', `${what}: the answer has no id`)
    return UploadId
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
    await this.#complete(key, uploadId, delivered, signal)
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
    if (!(await this.#isThere(standing, signal))) {
      await this.#delete(this.#reportKey(dump), signal)
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

  async #complete(
    key: string,
    uploadId: string,
    { parts, storedBytes }: Delivered,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const what = `the upload of ${key} could not be completed`
    const command = new CompleteMultipartUploadCommand({
      ...this.#s3.bucket,
      Key: key,
      UploadId: uploadId,
      MultipartUpload: {
        Parts: parts.map(({ number, etag, sha256 }) => ({
          PartNumber: number,
          ETag: etag,
          ...(sha256 !== undefined && { ChecksumSHA256: sha256 }),
        })),
      },
    })
    await this.#s3
      .ask(what, (client, abortSignal) => client.send(command, { abortSignal }), {
        signal,
        // Completed by a try whose answer was lost: its size tells.
        expected: isNotFound,
      })
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error
      })
    const found = await this.#s3.ask(
      what,
      (client, abortSignal) => client.send(new HeadObjectCommand({ ...this.#s3.bucket, Key: key }), { abortSignal }),
      { signal },
    )
    if (found.ContentLength !== storedBytes) {
      throw new StoreError(
        'STORE_REFUSED',
        `${what}: expected ${storedBytes} bytes there, found ${found.ContentLength}`,
      )
    }
  }

  async #isThere(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    const command = new HeadObjectCommand({ ...this.#s3.bucket, Key: key })
    const what = `object ${key} could not be looked at`
    try {
      await this.#s3.ask(what, (client, abortSignal) => client.send(command, { abortSignal }), {
        signal,
        expected: isNotFound,
      })
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
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
    const put = (condition: { IfNoneMatch?: string }) =>
      this.#s3.ask(
        what,
        (client, abortSignal) =>
          client.send(
            new PutObjectCommand({
              ...this.#s3.bucket,
              Key: key,
              Body: text,
              ContentType: 'application/json',
              ...condition,
              ...this.#encryption,
            }),
            { abortSignal },
          ),
        { signal, expected: (error) => [409, 412, 501].includes(statusOf(error) ?? 0) },
      )
    try {
      await put({ IfNoneMatch: '*' })
      return true
    } catch (error) {
      const status = statusOf(error)
      if (status === 409 || status === 412) return false
      if (status !== 501) throw error
    }
    // A server without conditional puts: the job's lock has decided who may publish.
    if (await this.#published(dump, signal)) return false
    await put({})
    return true
  }

  async #published(dump: string, signal?: AbortSignal) {
    const key = this.#reportKey(dump)
    const what = `the report ${key} could not be read`
    try {
      return await this.#s3.ask(
        what,
        async (client, abortSignal) => {
          const answer = await client.send(new GetObjectCommand({ ...this.#s3.bucket, Key: key }), { abortSignal })
          const text = (await answer.Body?.transformToString()) ?? ''
          const { stored: where, ...report } = z.looseObject({ stored }).parse(JSON.parse(text))
          return { report: dumpReport.parse(report), stored: where, publishedMs: answer.LastModified?.getTime() ?? 0 }
        },
        { signal, expected: isNotFound },
      )
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async #removePieces(under: string, beforeMs: number): Promise<number> {
    let removed = 0
    for await (const { key, uploadId, begunMs } of this.#uploads(under)) {
      if (begunMs >= beforeMs || (await this.#hasPartSince(beforeMs, key, uploadId))) continue
      await this.#abort(key, uploadId)
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
      const isOurs = several ? (await this.#published(dump))?.stored.key === key : published.has(dump)
      if (isOurs) continue
      await this.#delete(key)
      removed++
    }
    return removed
  }

  /** Whether a part of an upload came at `sinceMs` or later: an attempt is at work with it then. */
  async #hasPartSince(sinceMs: number, key: string, uploadId: string): Promise<boolean> {
    if (sinceMs === Number.POSITIVE_INFINITY) return false
    const upload = { ...this.#s3.bucket, Key: key, UploadId: uploadId }
    for (let marker: string | undefined; ; ) {
      const command = new ListPartsCommand({ ...upload, PartNumberMarker: marker })
      const page = await this.#s3
        .ask(`parts of ${key} could not be listed`, (client, abortSignal) => client.send(command, { abortSignal }), {
          expected: isNotFound,
        })
        .catch((error: unknown) => {
          // Ended meanwhile.
          if (isNotFound(error)) return undefined
          throw error
        })
      if (page?.Parts?.some(({ LastModified }) => (LastModified?.getTime() ?? 0) >= sinceMs)) return true
      if (!page?.IsTruncated) return false
      marker = page.NextPartNumberMarker
    }
  }

  async *#uploads(under: string): AsyncGenerator<{ key: string; uploadId: string; begunMs: number }> {
    const prefix = this.#hostsPrefix + under
    let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
    for (;;) {
      const command = new ListMultipartUploadsCommand({ ...this.#s3.bucket, Prefix: prefix, ...marker })
      const page = await this.#s3.ask('uploads could not be listed', (client, abortSignal) =>
        client.send(command, { abortSignal }),
      )
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key && UploadId) yield { key: Key, uploadId: UploadId, begunMs: Initiated?.getTime() ?? 0 }
      }
      if (!page.IsTruncated) return
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
    }
  }

  async *#artifacts(under: string): AsyncGenerator<FoundObject> {
    for await (const { key, bytes, changedMs } of this.#objects(this.#hostsPrefix + under)) {
      const dump = dumpId.safeParse(key.split('/').at(-2)).data
      if (dump !== undefined) yield { key, dump, bytes, changedMs }
    }
  }

  async *#reports(): AsyncGenerator<FoundObject> {
    const prefix = `${this.#s3.place.prefix}dumps/`
    for await (const { key, bytes, changedMs } of this.#objects(prefix)) {
      const dump = dumpId.safeParse(key.slice(prefix.length).replace(/\.json$/, '')).data
      if (dump !== undefined) yield { key, dump, bytes, changedMs }
    }
  }

  /** What the keys of each host's artifacts begin with. */
  async *#hosts(): AsyncGenerator<string> {
    for await (const { CommonPrefixes = [] } of this.#pages({ Prefix: this.#hostsPrefix, Delimiter: '/' })) {
      for (const { Prefix } of CommonPrefixes) if (Prefix) yield Prefix
    }
  }

  async *#objects(prefix: string): AsyncGenerator<{ key: string; bytes: number; changedMs: number }> {
    for await (const { Contents = [] } of this.#pages({ Prefix: prefix })) {
      for (const { Key, Size, LastModified } of Contents) {
        if (Key) yield { key: Key, bytes: Size ?? 0, changedMs: LastModified?.getTime() ?? 0 }
      }
    }
  }

  async *#pages(what: { Prefix: string; Delimiter?: string }): AsyncGenerator<ListObjectsV2CommandOutput> {
    let token: string | undefined
    for (;;) {
      const command = new ListObjectsV2Command({ ...this.#s3.bucket, ...what, ContinuationToken: token })
      const page = await this.#s3.ask('objects could not be listed', (client, abortSignal) =>
        client.send(command, { abortSignal }),
      )
      yield page
      if (!page.IsTruncated) return
      token = page.NextContinuationToken
    }
  }

  async #abort(key: string, uploadId: string, signal?: AbortSignal): Promise<void> {
    const command = new AbortMultipartUploadCommand({ ...this.#s3.bucket, Key: key, UploadId: uploadId })
    await this.#unlessMissing(
      `the upload of ${key} could not be aborted`,
      (client, abortSignal) => client.send(command, { abortSignal }),
      signal,
    )
  }

  async #delete(key: string, signal?: AbortSignal): Promise<void> {
    const command = new DeleteObjectCommand({ ...this.#s3.bucket, Key: key })
    await this.#unlessMissing(
      `object ${key} could not be deleted`,
      (client, abortSignal) => client.send(command, { abortSignal }),
      signal,
    )
  }

  async #unlessMissing(
    what: string,
    request: Parameters<S3Connection['ask']>[1],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await this.#s3.ask(what, request, { signal, expected: isNotFound })
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
  }

  get #writing(): NonNullable<S3StoreOptions['writer']> {
    if (!this.#writer) throw new RangeError('this store was opened for reading')
    return this.#writer
  }

  get #encryption() {
    const { serverSideEncryption } = this.#s3.place
    return serverSideEncryption === undefined ? {} : { ServerSideEncryption: serverSideEncryption }
  }

  get #hostsPrefix(): string {
    return `${this.#s3.place.prefix}hosts/`
  }

  #reportKey(dump: string): string {
    return `${this.#s3.place.prefix}dumps/${dumpId.parse(dump)}.json`
  }
}
