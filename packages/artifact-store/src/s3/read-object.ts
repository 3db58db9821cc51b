import { type GetObjectCommandOutput, GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import { Readable } from 'node:stream'
import { StoreError } from '../store-error.ts'
import type { StoredBytes } from '../stored-bytes.ts'
import type { S3Connection } from './s3-connection.ts'
import { isNotFound, statusOf } from './s3-errors.ts'

/** An object as it is, or undefined when it is not there. */
export async function openObject(s3: S3Connection, key: string): Promise<StoredBytes | undefined> {
  const head = await s3
    .ask(
      `object ${key} could not be looked at`,
      (client, abortSignal) => client.send(new HeadObjectCommand({ ...s3.bucket, Key: key }), { abortSignal }),
      { expected: isNotFound },
    )
    .catch((error: unknown) => {
      if (isNotFound(error)) return undefined
      throw error
    })
  if (!head) return undefined
  return {
    sizeBytes: head.ContentLength ?? 0,
    read: (startByte, endByte, signal) => readRange(s3, { key, etag: head.ETag, startByte, endByte, signal }),
    close: async () => undefined,
  }
}

interface Range {
  readonly key: string
  readonly etag: string | undefined
  readonly startByte: number
  readonly endByte: number
  readonly signal: AbortSignal | undefined
}

/** A range of one object, as it is taken. What is cut off or hangs is asked for again, from where it stopped. */
async function* readRange(
  s3: S3Connection,
  { key, etag, startByte, endByte, signal }: Range,
): AsyncGenerator<Uint8Array> {
  let at = startByte
  for (let failures = 0; at < endByte; ) {
    const body = await getFrom(s3, { key, etag, startByte: at, endByte, signal })
    try {
      for (;;) {
        const piece = await nextPiece(body, s3.place.timeoutMs)
        if (piece === undefined) break
        at += piece.length
        failures = 0
        yield piece
      }
    } finally {
      body.destroy()
    }
    signal?.throwIfAborted()
    if (at > endByte) throw new StoreError('STORE_CORRUPT', `object ${key}: more came than was asked for`)
    if (at < endByte && ++failures >= s3.place.attempts) {
      throw new StoreError(
        'STORE_UNAVAILABLE',
        `object ${key} is cut off at byte ${at}, again and again; expected ${endByte} bytes`,
      )
    }
  }
}

async function getFrom(s3: S3Connection, { key, etag, startByte, endByte, signal }: Range): Promise<Readable> {
  const get = new GetObjectCommand({
    ...s3.bucket,
    Key: key,
    Range: `bytes=${startByte}-${endByte - 1}`,
    ...(etag !== undefined && { IfMatch: etag }),
  })
  let answer: GetObjectCommandOutput
  try {
    answer = await s3.ask(
      `object ${key} could not be read`,
      // The time limit is for the answer to begin: `ask` is over then. The body has one for each piece.
      (client, abortSignal) => client.send(get, { abortSignal }),
      { signal, expected: (error) => statusOf(error) === 412 || statusOf(error) === 404 },
    )
  } catch (error) {
    if (statusOf(error) === undefined) throw error
    throw new StoreError('STORE_CORRUPT', `object ${key} changed or went away while it was read`, { cause: error })
  }
  if (!(answer.Body instanceof Readable)) throw new StoreError('STORE_REFUSED', `object ${key} came without a body`)
  // What goes wrong with it is seen when the next piece is asked for.
  answer.Body.on('error', () => undefined)
  return answer.Body
}

/** The next piece; undefined at the end, when the connection is cut off, and when nothing came for so long. */
async function nextPiece(body: Readable, timeoutMs: number): Promise<Uint8Array | undefined> {
  for (;;) {
    const piece: unknown = body.read()
    if (piece instanceof Uint8Array) return piece
    if (body.readableEnded || body.destroyed || body.errored) return undefined
    const overdue = setTimeout(() => body.destroy(), timeoutMs)
    await new Promise<void>((resolve) => {
      const done = () => {
        for (const name of ['readable', 'end', 'close', 'error']) body.off(name, done)
        resolve()
      }
      for (const name of ['readable', 'end', 'close', 'error']) body.on(name, done)
    })
    clearTimeout(overdue)
  }
}
