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
import type { Delivered } from '../delivery.ts'
import { StoreError } from '../store-error.ts'
import type { S3Connection } from './s3-connection.ts'
import { isNotFound, statusOf } from './s3-errors.ts'

export interface BucketObject {
  readonly key: string
  readonly bytes: number
  readonly changedMs: number
}

export interface BucketUpload {
  readonly key: string
  readonly uploadId: string
  readonly begunMs: number
}

/**
 * Objects and uploads of one bucket, by their keys. Every method throws StoreError saying what could not be done, or the reason
 * of the signal it was given.
 */
export class S3Bucket {
  readonly #s3: S3Connection

  constructor(s3: S3Connection) {
    this.#s3 = s3
  }

  /** Begins an upload. Returns its id. */
  async createUpload(key: string, signal: AbortSignal | undefined): Promise<string> {
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

  /** Makes an object of the parts of an upload, also where an earlier try did, and compares its size. */
  async completeUpload(
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
    // Completed by a try whose answer was lost: its size tells.
    await this.#unlessMissing(what, (client, abortSignal) => client.send(command, { abortSignal }), signal)
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

  /** Removes an upload that is not completed. Idempotent. */
  async abortUpload(key: string, uploadId: string, signal?: AbortSignal): Promise<void> {
    const command = new AbortMultipartUploadCommand({ ...this.#s3.bucket, Key: key, UploadId: uploadId })
    await this.#unlessMissing(
      `the upload of ${key} could not be aborted`,
      (client, abortSignal) => client.send(command, { abortSignal }),
      signal,
    )
  }

  /** Whether a part of an upload came at `sinceMs` or later: an attempt is at work with it then. */
  async hasPartSince(sinceMs: number, { key, uploadId }: BucketUpload): Promise<boolean> {
    if (sinceMs === Number.POSITIVE_INFINITY) return false
    const upload = { ...this.#s3.bucket, Key: key, UploadId: uploadId }
    for (let marker: string | undefined; ; ) {
      const command = new ListPartsCommand({ ...upload, PartNumberMarker: marker })
      // Missing: ended meanwhile.
      const page = await this.#unlessMissing(`parts of ${key} could not be listed`, (client, abortSignal) =>
        client.send(command, { abortSignal }),
      )
      if (page?.Parts?.some(({ LastModified }) => (LastModified?.getTime() ?? 0) >= sinceMs)) return true
      if (!page?.IsTruncated) return false
      marker = page.NextPartNumberMarker
    }
  }

  /** Uploads that are neither completed nor aborted, whose keys begin with `prefix`. */
  async *uploads(prefix: string): AsyncGenerator<BucketUpload> {
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

  async isThere(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    const command = new HeadObjectCommand({ ...this.#s3.bucket, Key: key })
    const found = await this.#unlessMissing(
      `object ${key} could not be looked at`,
      (client, abortSignal) => client.send(command, { abortSignal }),
      signal,
    )
    return found !== undefined
  }

  /** A small object as text, or undefined where there is none. `what` could not be done, where it fails. */
  async readText(
    what: string,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<{ text: string; changedMs: number } | undefined> {
    return await this.#unlessMissing(
      what,
      async (client, abortSignal) => {
        const answer = await client.send(new GetObjectCommand({ ...this.#s3.bucket, Key: key }), { abortSignal })
        const text = (await answer.Body?.transformToString()) ?? ''
        return { text, changedMs: answer.LastModified?.getTime() ?? 0 }
      },
      signal,
    )
  }

  /**
   * Puts a small object where there is none: `there` when there is one already. `unable`, with nothing done, on a server that
   * knows no conditional puts.
   */
  async putNew(
    what: string,
    key: string,
    text: string,
    signal: AbortSignal | undefined,
  ): Promise<'put' | 'there' | 'unable'> {
    try {
      await this.#put(what, { key, text, condition: { IfNoneMatch: '*' }, signal })
      return 'put'
    } catch (error) {
      const status = statusOf(error)
      if (status === 409 || status === 412) return 'there'
      if (status === 501) return 'unable'
      throw error
    }
  }

  /** Puts a small object, whatever is there. */
  async putText(what: string, key: string, text: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#put(what, { key, text, condition: {}, signal })
  }

  async #put(
    what: string,
    put: { key: string; text: string; condition: { IfNoneMatch?: string }; signal: AbortSignal | undefined },
  ): Promise<void> {
    const command = new PutObjectCommand({
      ...this.#s3.bucket,
      Key: put.key,
      Body: put.text,
      ContentType: 'application/json',
      ...put.condition,
      ...this.#encryption,
    })
    await this.#s3.ask(what, (client, abortSignal) => client.send(command, { abortSignal }), {
      signal: put.signal,
      expected: (error) => [409, 412, 501].includes(statusOf(error) ?? 0),
    })
  }

  /** Idempotent. */
  async delete(key: string, signal?: AbortSignal): Promise<void> {
    const command = new DeleteObjectCommand({ ...this.#s3.bucket, Key: key })
    await this.#unlessMissing(
      `object ${key} could not be deleted`,
      (client, abortSignal) => client.send(command, { abortSignal }),
      signal,
    )
  }

  /** Objects whose keys begin with `prefix`. */
  async *objects(prefix: string): AsyncGenerator<BucketObject> {
    for await (const { Contents = [] } of this.#pages({ Prefix: prefix })) {
      for (const { Key, Size, LastModified } of Contents) {
        if (Key) yield { key: Key, bytes: Size ?? 0, changedMs: LastModified?.getTime() ?? 0 }
      }
    }
  }

  /** What keys that begin with `prefix` go on with, up to the next slash and with `prefix` and slash. */
  async *folders(prefix: string): AsyncGenerator<string> {
    for await (const { CommonPrefixes = [] } of this.#pages({ Prefix: prefix, Delimiter: '/' })) {
      for (const { Prefix } of CommonPrefixes) if (Prefix) yield Prefix
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

  async #unlessMissing<T>(
    what: string,
    request: (...given: Parameters<Parameters<S3Connection['ask']>[1]>) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await this.#s3.ask(what, request, { signal, expected: isNotFound })
    } catch (error) {
      if (!isNotFound(error)) throw error
      return undefined
    }
  }

  get #encryption() {
    const { serverSideEncryption } = this.#s3.place
    return serverSideEncryption === undefined ? {} : { ServerSideEncryption: serverSideEncryption }
  }
}
