import { type GetObjectCommandOutput, GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import { Readable } from 'node:stream'
import { StoreError } from '../store-error.ts'
import type { StoredBytes } from '../stored-bytes.ts'
import { PieceTaker } from './piece-taker.ts'
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

/**
 * A range of one object, in pieces: each is taken from the store as fast as that gives it, so that no connection waits for who
 * reads. What is cut off or hangs is asked for again, from where it stopped.
 */
async function* readRange(
  s3: S3Connection,
  { key, etag, startByte, endByte, signal }: Range,
): AsyncGenerator<Uint8Array> {
  using share = s3.shareMemory()
  let at = startByte
  for (let failures = 0; at < endByte; ) {
    const pieceEnd = Math.min(endByte, at + share.bytes)
    const body = await getFrom(s3, { key, etag, startByte: at, endByte: pieceEnd, signal })
    using piece = new PieceTaker(body, { mostBytes: pieceEnd - at, timeoutMs: s3.place.timeoutMs })
    for (;;) {
      const bytes = await piece.next(signal)
      if (bytes === undefined) break
      at += bytes.length
      failures = 0
      if (at > pieceEnd) throw new StoreError('STORE_CORRUPT', `object ${key}: more came than was asked for`)
      yield bytes
    }
    if (at < pieceEnd && ++failures >= s3.place.attempts) {
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
      // The time limit is for the answer to begin: `ask` is over then. The body has one between two of its chunks.
      (client, abortSignal) => client.send(get, { abortSignal }),
      { signal, isContent: true, expected: (error) => statusOf(error) === 412 || statusOf(error) === 404 },
    )
  } catch (error) {
    if (statusOf(error) === undefined) throw error
    throw new StoreError('STORE_CORRUPT', `object ${key} changed or went away while it was read`, { cause: error })
  }
  if (!(answer.Body instanceof Readable)) throw new StoreError('STORE_REFUSED', `object ${key} came without a body`)
  return answer.Body
}
