import { setTimeout as delay } from 'node:timers/promises'
import { S3Client } from '@aws-sdk/client-s3'
import { isPassing, statusOf, toStoreError } from './s3-errors.ts'
import type { S3Place } from './s3-place.ts'

const FIRST_DELAY_MS = 200
const MOST_DELAY_MS = 10_000

/** One S3-compatible store. Requests are tried `attempts` times, each with a time limit; what it refuses is not tried again. */
export class S3Connection implements Disposable {
  readonly place: S3Place
  readonly #client: S3Client

  constructor(place: S3Place) {
    this.place = place
    const { sessionToken, ...credentials } = place.credentials
    this.#client = new S3Client({
      region: place.region,
      forcePathStyle: place.pathStyle,
      credentials: { ...credentials, ...(sessionToken !== undefined && { sessionToken }) },
      // Tries, time limits and checksums are ours: every server knows those that are sent here.
      maxAttempts: 1,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: Math.min(place.timeoutMs, 10_000) },
      ...(place.endpoint !== undefined && { endpoint: place.endpoint }),
    })
  }

  get bucket(): { Bucket: string } {
    return { Bucket: this.place.bucket }
  }

  /**
   * Has `request` sent until it is answered: with `client` and a signal that its time limit aborts. Throws StoreError: of
   * `what` could not be done; or the reason of `signal`; or what `expected` names, as it is.
   */
  async ask<T>(
    what: string,
    request: (client: S3Client, abortSignal: AbortSignal) => Promise<T>,
    options: { signal?: AbortSignal | undefined; expected?: (error: unknown) => boolean } = {},
  ): Promise<T> {
    const { signal, expected } = options
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      const within = new AbortController()
      const overdue = setTimeout(
        () => within.abort(new Error(`no answer within ${this.place.timeoutMs / 1000} s`)),
        this.place.timeoutMs,
      )
      try {
        return await request(this.#client, signal ? AbortSignal.any([within.signal, signal]) : within.signal)
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
  }
}

/** Twice as long each time, and half of it by chance: those that were refused together do not come back together. */
function backOff(attempt: number): number {
  const most = Math.min(MOST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1))
  return most / 2 + (Math.random() * most) / 2
}
