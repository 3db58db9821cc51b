import { sha256 } from '@noble/hashes/sha2.js'
import { ClientProblem, problemOf } from './client-problem.ts'
import { pause } from './pause.ts'

export interface DownloadOptions {
  readonly signal?: AbortSignal
  /** How often in a row a connection may break off before it is given up. */
  readonly failures?: number
  /** Milliseconds before a connection that broke off is made again. */
  readonly retryMs?: number
}

export interface Download {
  /** The artifact. Errors at its end with a DigestError when it is not what the API says it is. */
  readonly stream: ReadableStream<Uint8Array>
  readonly bytes: number
  /** SHA-256 of the whole artifact, in hex, as the API says. */
  readonly sha256: string
  /** A name that the API proposes for the file. */
  readonly name: string
}

/** What came is not what was announced: do not use it. */
export class DigestError extends Error {
  override readonly name = 'DigestError'
}

/** Asks for the artifact, with these headers. */
type Connect = (headers: Record<string, string>, signal: AbortSignal | undefined) => Promise<Response>

const FAILURES = 5
const RETRY_MS = 1_000

/**
 * Downloads an artifact. A connection that breaks off is made again from the byte where it did; at the end size and SHA-256
 * are compared with what the API announced. Throws ClientProblem when the API refuses.
 */
export async function downloadArtifact(connect: Connect, options: DownloadOptions): Promise<Download> {
  const { signal, failures = FAILURES, retryMs = RETRY_MS } = options
  const first = await connect({}, signal)
  if (!first.ok || !first.body) throw await problemOf(first)
  const announced = readAnnouncement(first)
  const hash = sha256.create()
  let reader = first.body.getReader()
  let received = 0
  let failed = 0

  const resume = async () => {
    const response = await connect({ range: `bytes=${received}-`, 'if-range': announced.etag }, signal)
    if (!response.ok || !response.body) throw await problemOf(response)
    const range = response.headers.get('content-range')
    if (response.status !== 206 || !range?.startsWith(`bytes ${received}-`)) {
      throw new DigestError(`expected the artifact from byte ${received} on, found ${range ?? 'another artifact'}`)
    }
    reader = response.body.getReader()
  }

  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      for (;;) {
        try {
          const piece = await reader.read()
          if (!piece.done) {
            received += piece.value.length
            // Only bytes are progress.
            if (piece.value.length > 0) failed = 0
            hash.update(piece.value)
            controller.enqueue(piece.value)
            return
          }
          if (received >= announced.bytes) {
            compare(received, toHex(hash.digest()), announced)
            controller.close()
            return
          }
          throw new TypeError(`the connection ended after ${received} of ${announced.bytes} bytes`)
        } catch (error) {
          failed += 1
          const isFinal = error instanceof DigestError || (error instanceof ClientProblem && error.status < 500)
          if (isFinal || signal?.aborted || failed >= failures) throw error
          await pause(retryMs, signal)
          await resume().catch((cause: unknown) => {
            if (cause instanceof DigestError || (cause instanceof ClientProblem && cause.status < 500)) throw cause
            reader = failingReader(cause)
          })
        }
      }
    },
    async cancel(reason) {
      await reader.cancel(reason)
    },
  })
  const { bytes, name } = announced
  return { stream, bytes, sha256: announced.sha256, name }
}

function failingReader(cause: unknown): ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({ start: (controller) => controller.error(cause) }).getReader()
}

interface Announcement {
  readonly bytes: number
  readonly sha256: string
  readonly etag: string
  readonly name: string
}

function readAnnouncement({ headers, url }: Response): Announcement {
  const [, base64] = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):/.exec(headers.get('repr-digest') ?? '') ?? []
  const bytes = headers.get('content-length')
  const etag = headers.get('etag')
  if (!base64 || bytes === null || !etag) {
    throw new DigestError(`${url}: expected Repr-Digest, Content-Length and ETag of an artifact, found not all of them`)
  }
  const [, name = 'vmcore'] = /filename="([^"/\\]+)"/.exec(headers.get('content-disposition') ?? '') ?? []
  return { bytes: Number(bytes), sha256: toHex(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))), etag, name }
}

function compare(bytes: number, digest: string, announced: Announcement): void {
  if (bytes === announced.bytes && digest === announced.sha256) return
  throw new DigestError(
    `expected ${announced.bytes} bytes with the SHA-256 ${announced.sha256}, found ${bytes} with ${digest}`,
  )
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
