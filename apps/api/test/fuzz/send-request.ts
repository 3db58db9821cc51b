import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import type { FuzzRequest } from './request-arbitrary.ts'

export interface FuzzAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Of an event stream, the first piece. */
  readonly body: string
}

/** An answer that takes longer hangs. */
const HANGS_AFTER_MS = 10_000

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/** Sends one request as it is. Throws when there is no whole answer within 10 s. */
export function sendRequest(
  port: number,
  { method, path, headers, body }: Omit<FuzzRequest, 'pick'>,
): Promise<FuzzAnswer> {
  return new Promise((resolve, reject) => {
    // Said for every method: Node's client frames the body of some only, and what follows would be another request.
    const framed = body === undefined ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) }
    const sent = request({ host: '127.0.0.1', port, method, path, headers: framed, agent })
    const timer = setTimeout(() => sent.destroy(new Error(`hangs: no answer in ${HANGS_AFTER_MS} ms`)), HANGS_AFTER_MS)
    sent.once('error', reject).once('close', () => clearTimeout(timer))
    sent.once('response', (answer) => {
      const { statusCode: status = 0, headers } = answer
      const pieces: Buffer[] = []
      const done = () => resolve({ status, headers, body: Buffer.concat(pieces).toString('latin1') })
      answer.once('error', reject).once('end', done)
      answer.on('data', (piece: Buffer) => {
        pieces.push(piece)
        // Such a stream lasts as long as its dump.
        if (!headers['content-type']?.startsWith('text/event-stream')) return
        done()
        sent.destroy()
      })
    })
    sent.end(body)
  })
}
