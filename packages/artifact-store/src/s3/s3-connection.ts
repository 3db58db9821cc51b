import { setTimeout as delay } from 'node:timers/promises'
import { S3Client } from '@aws-sdk/client-s3'
import { isPassing, statusOf, toStoreError } from './s3-errors.ts'
import type { S3Place } from './s3-place.ts'

const FIRST_DELAY_MS = 200
const MOST_DELAY_MS = 10_000
/** Bytes that are in memory for all who read content, of which each has its share; and what a share is at least and at most. */
const READ_AHEAD_BYTES = 32 << 20
const SHARE_BYTES = { least: 256 << 10, most: 16 << 20 }

/** What one reader may have in memory, as long as it reads. */
export interface MemoryShare extends Disposable {
  /** As of now: less while more read. */
  readonly bytes: number
}

/**
 * One S3-compatible store. Requests are tried `attempts` times, each with a time limit; what it refuses is not tried again.
 * Content of artifacts comes by connections of its own, so that much of it holds up no other request.
 */
export class S3Connection implements Disposable {
  readonly place: S3Place
  readonly #client: S3Client
  readonly #contentClient: S3Client
  #readers = 0

  constructor(place: S3Place) {
    this.place = place
    this.#client = clientOf(place)
    this.#contentClient = clientOf(place)
  }

  get bucket(): { Bucket: string } {
    return { Bucket: this.place.bucket }
  }

  /** For one who reads content. */
  shareMemory(): MemoryShare {
    this.#readers++
    const bytes = () =>
      Math.max(SHARE_BYTES.least, Math.min(SHARE_BYTES.most, Math.floor(READ_AHEAD_BYTES / this.#readers)))
    return {
      get bytes() {
        return bytes()
      },
      [Symbol.dispose]: () => {
        this.#readers--
      },
    }
  }

  /**
   * Has `request` sent until it is answered: with `client` and a signal that its time limit aborts. Throws StoreError: of
   * `what` could not be done; or the reason of `signal`; or what `expected` names, as it is.
   */
  async ask<T>(
    what: string,
    request: (client: S3Client, abortSignal: AbortSignal) => Promise<T>,
    options: {
      signal?: AbortSignal | undefined
      expected?: (error: unknown) => boolean
      /** Whether the answer is a piece of an artifact. */
      isContent?: boolean
    } = {},
  ): Promise<T> {
    const { signal, expected, isContent = false } = options
    const client = isContent ? this.#contentClient : this.#client
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      const within = new AbortController()
      const overdue = setTimeout(
        () => within.abort(new Error(`no answer within ${this.place.timeoutMs / 1000} s`)),
        this.place.timeoutMs,
      )
      try {
        return await request(client, signal ? AbortSignal.any([within.signal, signal]) : within.signal)
      } catch (error) {
        signal?.throwIfAborted()
        if (expected?.(error)) throw error
        const told = within.signal.aborted && statusOf(error) === undefined ? within.signal.reason : error
        if (!isPassing(error) || attempt >= this.place.attempts) throw toStoreError(told, what)
      } finally {
        clearTimeout(overdue)
      }
      await delay(backOff(attempt), undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted())
    }
  }

  [Symbol.dispose](): void {
    this.#client.destroy()
    this.#contentClient.destroy()
  }
}

function clientOf({ region, pathStyle, credentials, endpoint, timeoutMs }: S3Place): S3Client {
  const { sessionToken, ...keys } = credentials
  return new S3Client({
    region,
    forcePathStyle: pathStyle,
    credentials: { ...keys, ...(sessionToken !== undefined && { sessionToken }) },
    // Tries, time limits and checksums are ours: every server knows those that are sent here.
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: Math.min(timeoutMs, 10_000) },
    ...(endpoint !== undefined && { endpoint }),
  })
}

/** Twice as long each time, and half of it by chance: those that were refused together do not come back together. */
function backOff(attempt: number): number {
  const most = Math.min(MOST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1))
  return most / 2 + (Math.random() * most) / 2
}
