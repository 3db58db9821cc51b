import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'

/** What the proxy does with a request; `pass` lets it through. */
export type Fault =
  | 'pass'
  /** Answers 500, and the server never hears of it. */
  | 'answer500'
  /** The server does what it is asked, and its answer is lost. */
  | 'loseAnswer'
  /** Takes the request and never answers. */
  | 'hang'
  /** Cuts the connection off in the middle of the request's body. */
  | 'cutRequest'
  /** Cuts the connection off in the middle of the answer's body. */
  | 'cutAnswer'
  /** One bit of the request's body is another one. */
  | 'corruptRequest'

export interface AskedRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** How many of the same method and kind there were before. */
  readonly nth: number
}

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly fault: Fault
}

/** A request that the server has carried out, or refused; whoever asked may not have heard of it. */
export interface ServedRequest {
  readonly method: string
  readonly url: string
  readonly body: Buffer
  readonly status: number
}

/** A proxy in front of one server that does harm to the requests that a test chooses. */
export class FaultProxy implements AsyncDisposable {
  /** Asked of every request. */
  choose: (request: AskedRequest) => Fault = () => 'pass'
  /** Told of every request that the server has answered. */
  onServed: (request: ServedRequest) => void = () => undefined
  readonly seen: SeenRequest[] = []
  readonly #port: number
  readonly #server = createServer((from, to) => void this.#serve(from, to))

  private constructor(port: number) {
    this.#port = port
  }

  static async start(port: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(port)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get endpoint(): string {
    const address = this.#server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  }

  /** Lets everything through again, and forgets what it has seen. */
  reset(): void {
    this.choose = () => 'pass'
    this.seen.length = 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #serve(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const { method = '', url = '' } = from
    const nth = this.seen.filter((seen) => seen.method === method && sameKind(seen.url, url)).length
    const fault = this.choose({ method, url, headers: from.headers, nth })
    this.seen.push({ method, url, fault })
    from.on('error', () => undefined)
    to.on('error', () => undefined)
    if (fault === 'cutRequest') {
      from.once('data', () => from.socket.destroy())
      return
    }
    const pieces: Buffer[] = []
    try {
      for await (const piece of from) pieces.push(piece as Buffer)
    } catch {
      return
    }
    if (fault === 'hang') return
    if (fault === 'answer500') {
      to.writeHead(500, { 'content-type': 'application/xml' })
      to.end('<Error><Code>InternalError</Code><Message>of the proxy</Message></Error>')
      return
    }
    const body = Buffer.concat(pieces)
    if (fault === 'corruptRequest' && body.length > 0) {
      body[body.length >> 1] = (body[body.length >> 1] as number) ^ 1
    }
    const headers = { ...from.headers }
    delete headers['transfer-encoding']
    const upstream = request({ host: '127.0.0.1', port: this.#port, method, path: url, headers }, (answer) => {
      this.onServed({ method, url, body, status: answer.statusCode ?? 0 })
      if (fault === 'loseAnswer') {
        answer.resume()
        answer.once('end', () => from.socket.destroy())
        return
      }
      to.writeHead(answer.statusCode ?? 502, answer.headers)
      if (fault === 'cutAnswer') {
        const bytes = Number(answer.headers['content-length'] ?? 0)
        let sent = 0
        answer.on('data', (piece: Buffer) => {
          const left = Math.floor(bytes / 2) - sent
          if (left <= 0) return
          sent += piece.length
          to.write(piece.subarray(0, left), () => {
            if (sent >= bytes / 2) from.socket.destroy()
          })
        })
        return
      }
      answer.pipe(to)
    })
    upstream.on('error', () => from.socket.destroy())
    upstream.end(body)
  }
}

/** Whether two requests are of one kind: a part, a completion, an object. */
function sameKind(one: string, other: string): boolean {
  return kindOf(one) === kindOf(other)
}

/** What an S3 request is about, by its address: the names that artifact-store gives to its objects. */
export function kindOf(url: string): string {
  if (url.includes('partNumber=')) return 'part'
  if (url.includes('uploads')) return 'uploads'
  if (url.includes('uploadId=')) return 'complete'
  return url.includes('/dumps/') ? 'report' : url.includes('.vmcore') ? 'artifact' : 'other'
}
