import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { UploadPartCommand } from '@aws-sdk/client-s3'
import type { Delivered, Delivery, UploadedPart } from '../delivery.ts'
import { StoreError } from '../store-error.ts'
import { type StoredForm, storedForm } from '../stored-form.ts'
import { type PartPlan, planParts } from './plan-parts.ts'
import { S3Connection } from './s3-connection.ts'

/** Parts on their way at a time; each is in memory. */
const AT_ONCE = 3

type Upload = Extract<Delivery, { kind: 'upload' }>

/**
 * Brings a file into the parts of an upload while it is written: a part goes when all of it was written and more than it,
 * whatever the order was; the rest goes at the end. Reads the file, which must keep what was written.
 */
export class PartUpload implements AsyncDisposable {
  readonly takesEarly = true
  readonly #upload: Upload
  readonly #s3: S3Connection
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #parts: UploadedPart[] = []
  readonly #running = new Set<Promise<void>>()
  readonly #waiting: number[] = []
  readonly #sending = new Set<number>()
  /** Of parts that are begun and not sent: plain bytes that were written. */
  readonly #written = new Map<number, number>()
  #fd: number | undefined
  #plan: PartPlan | undefined
  #form: StoredForm | undefined
  #highest = 0
  #failure: { readonly error: unknown } | undefined
  #onPart: (() => void) | undefined

  constructor(upload: Upload, signal?: AbortSignal) {
    this.#upload = upload
    this.#s3 = new S3Connection(upload.place)
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal
  }

  /** The file `path`, which may become so large, is about to be written. */
  begin({ path, atMostBytes }: { path: string; atMostBytes: number }): void {
    this.#fd = openSync(path, 'r')
    this.#plan = planParts(this.#upload.sealing, this.#upload.place.partBytes, atMostBytes)
    // Where the file ends is not known yet, and no part that goes now is the last.
    this.#form = storedForm(this.#fd, Number.MAX_SAFE_INTEGER, this.#upload.sealing)
  }

  /** The plain bytes from `position` on were written, and never will be again. Throws what a part failed of. */
  wrote(position: number, bytes: number): void {
    if (this.#failure) throw this.#failure.error
    const plan = this.#plan
    if (!plan) throw new RangeError('what is written was not begun')
    const end = position + bytes
    this.#highest = Math.max(this.#highest, end)
    for (let at = position; at < end; ) {
      const part = plan.partOf(at)
      const stop = Math.min(end, plan.plainRange(part).endByte)
      this.#written.set(part, (this.#written.get(part) ?? 0) + stop - at)
      at = stop
    }
    for (const [part, written] of this.#written) {
      const { startByte, endByte } = plan.plainRange(part)
      if (written < endByte - startByte || this.#highest <= endByte) continue
      this.#written.delete(part)
      this.#waiting.push(part)
    }
    this.#sendWaiting()
  }

  /** The file is finished, and stands at `output`: sends what has not gone yet. Resolves when all of it is there. */
  async finish(output: string, onProgress?: (done: number, total: number) => void): Promise<Delivered> {
    if (this.#fd === undefined) this.begin({ path: output, atMostBytes: sizeOf(output) })
    const fd = this.#fd as number
    const plan = this.#plan as PartPlan
    const form = storedForm(fd, fstatSync(fd).size, this.#upload.sealing)
    this.#form = form
    const count = Math.max(1, Math.ceil(form.storedBytes / plan.partBytes))
    const gone = new Set([...this.#parts.map(({ number }) => number - 1), ...this.#sending, ...this.#waiting])
    for (let part = 0; part < count; part++) if (!gone.has(part)) this.#waiting.push(part)
    this.#onPart = () => onProgress?.(Math.min(form.storedBytes, this.#parts.length * plan.partBytes), form.storedBytes)
    this.#sendWaiting()
    while (this.#running.size > 0) await Promise.race(this.#running)
    if (this.#failure) throw this.#failure.error
    this.#parts.sort((a, b) => a.number - b.number)
    if (this.#parts.length !== count) throw new RangeError(`${count} parts, ${this.#parts.length} of them were sent`)
    return { storedBytes: form.storedBytes, parts: this.#parts }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting.length = 0
    this.#stop.abort(new Error('the upload is over'))
    await Promise.allSettled(this.#running)
    this.#s3[Symbol.dispose]()
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  #sendWaiting(): void {
    while (this.#running.size < AT_ONCE && this.#waiting.length > 0 && !this.#failure) {
      const part = this.#waiting.shift() as number
      this.#sending.add(part)
      const running = this.#send(part)
        .catch((error: unknown) => {
          this.#failure ??= { error }
        })
        .then(() => {
          this.#running.delete(running)
          this.#sendWaiting()
        })
      this.#running.add(running)
    }
  }

  async #send(part: number): Promise<void> {
    const { partBytes } = this.#plan as PartPlan
    const form = this.#form as StoredForm
    const start = part * partBytes
    const body = form.make(start, Math.min(form.storedBytes, start + partBytes))
    const sha256 = createHash('sha256').update(body).digest('base64')
    const number = part + 1
    const command = new UploadPartCommand({
      ...this.#s3.bucket,
      Key: this.#upload.key,
      UploadId: this.#upload.uploadId,
      PartNumber: number,
      Body: body,
      ContentLength: body.length,
      ChecksumSHA256: sha256,
    })
    const what = `part ${number} of ${this.#upload.key} could not be uploaded`
    const answer = await this.#s3.ask(what, (client, abortSignal) => client.send(command, { abortSignal }), {
      signal: this.#signal,
    })
    if (!answer.ETag) throw new StoreError('STORE_REFUSED', `${what}: the answer has no ETag`)
    if (answer.ChecksumSHA256 !== undefined && answer.ChecksumSHA256 !== sha256) {
      throw new StoreError('STORE_REFUSED', `${what}: the store has other bytes than were sent, by their checksum`)
    }
    this.#parts.push({
      number,
      etag: answer.ETag,
      ...(answer.ChecksumSHA256 !== undefined && { sha256: answer.ChecksumSHA256 }),
    })
    this.#sending.delete(part)
    this.#onPart?.()
  }
}

function sizeOf(path: string): number {
  const fd = openSync(path, 'r')
  try {
    return fstatSync(fd).size
  } finally {
    closeSync(fd)
  }
}
