import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { ApiProblem, type ProblemCode } from './problem.ts'

const byNodeCode: Readonly<Record<string, readonly [code: ProblemCode, detail: string]>> = {
  HPE_HEADER_OVERFLOW: ['HEADERS_TOO_LARGE', 'expected request line and headers of at most 16 KiB, found more'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['BODY_TOO_LARGE', 'expected chunk extensions of at most 16 KiB, found more'],
  ERR_HTTP_REQUEST_TIMEOUT: ['REQUEST_TIMEOUT', 'the request was not complete in time'],
}

/** Answers with a problem what Node's parser gives up on, before there is a request. */
export function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  // The answer that Node has under way on this connection; it looks there itself when nobody handles this.
  const { _httpMessage: answer } = socket as Socket & { readonly _httpMessage?: ServerResponse | null }
  const isAnswering = answer?.headersSent === true && !answer.writableEnded
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) {
    // Nobody listens, or another answer would garble the one that is under way.
    socket.destroy()
    return
  }
  const [code, detail] = byNodeCode[error.code ?? ''] ?? [
    'REQUEST_INVALID',
    'expected an HTTP/1.1 request, found another',
  ]
  const problem = new ApiProblem(code, detail)
  const body = JSON.stringify(problem.toJSON())
  const head = [
    `HTTP/1.1 ${problem.status} ${problem.toJSON().title}`,
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'x-content-type-options: nosniff',
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** Answers an Expect header that asks for something else than 100-continue (RFC 9110, 10.1.1). */
export function refuseExpectations(server: Server): void {
  server.on('checkExpectation', (request, response) => {
    const problem = new ApiProblem('EXPECTATION_UNKNOWN', `expected 100-continue, found ${request.headers.expect}`)
    const type = 'application/problem+json; charset=utf-8'
    response.writeHead(problem.status, { 'content-type': type, connection: 'close' })
    response.end(JSON.stringify(problem.toJSON()))
  })
}
