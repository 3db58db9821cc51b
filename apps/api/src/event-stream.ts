import type { OutgoingHttpHeader, ServerResponse } from 'node:http'
import { whenClosed } from './when-closed.ts'

/** How often a line is sent that says nothing, so that proxies and clients see that the stream lives. */
const HEARTBEAT_MS = 15_000
/** A client that has not taken so many bytes is cut off; it gets what it missed when it connects again. */
const MOST_WAITING_BYTES = 256 * 1024
/** How long a client may take to read the rest of a stream that has ended. */
const END_WITHIN_MS = 10_000
/** When a client whose stream broke may come again, in milliseconds. */
const RETRY_MS = 2_000

export interface StreamEvent {
  readonly event: string
  readonly id: number
  readonly data: unknown
}

/** Server-sent events (WHATWG HTML, 9.2) on a response that nothing was written to yet. */
export class EventStream {
  readonly #response: ServerResponse
  readonly #heartbeat: NodeJS.Timeout
  /** Resolves when the client or `end` has closed the stream. */
  readonly closed: Promise<void>

  /** `headers` are sent besides those of a stream. */
  constructor(response: ServerResponse, headers: Readonly<Record<string, OutgoingHttpHeader | undefined>> = {}) {
    this.#response = response
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) response.setHeader(name, value)
    response.writeHead(200, {
      'x-content-type-options': 'nosniff',
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would hold events back.
      'x-accel-buffering': 'no',
    })
    response.write(`retry: ${RETRY_MS}\n\n`)
    this.#heartbeat = setInterval(() => this.#write(':\n\n'), HEARTBEAT_MS)
    this.closed = new Promise((resolve) => whenClosed(response, resolve))
    void this.closed.then(() => clearInterval(this.#heartbeat))
  }

  send({ event, id, data }: StreamEvent): void {
    this.#write(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  /** Says a line that is no event, for people and for clients that look for signs of life. */
  say(comment: string): void {
    this.#write(`: ${comment.replace(/[\r\n]+/g, ' ')}\n\n`)
  }

  end(): void {
    if (this.#response.writableEnded) return
    clearInterval(this.#heartbeat)
    this.#response.end()
    const late = setTimeout(() => this.#response.destroy(), END_WITHIN_MS)
    void this.closed.then(() => clearTimeout(late))
  }

  #write(text: string): void {
    if (this.#response.writableEnded || this.#response.destroyed) return
    this.#response.write(text)
    if (this.#response.writableLength > MOST_WAITING_BYTES) this.#response.destroy()
  }
}
