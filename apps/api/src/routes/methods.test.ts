import { once } from 'node:events'
import { METHODS } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { api } from '../../test/api-under-test.ts'

/** The answers to bytes as they are; what is sent later, is sent when something was answered. */
async function answerTo(bytes: string, later?: string): Promise<string> {
  const { port } = new URL(await api.app.listen({ port: 0, host: '127.0.0.1' }))
  const socket = connect(Number(port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write(bytes)
  if (later) socket.once('data', () => socket.write(later))
  return text(socket)
}

test.each([
  ['/v1/dumps', 'GET, HEAD, POST'],
  ['/v1/dumps/x', 'DELETE, GET, HEAD'],
  ['/v1/dumps/x/events', 'GET'],
  ['/v1/dumps/x/artifact', 'GET, HEAD'],
  ['/v1/guests/x/pages', 'GET, HEAD'],
  ['/healthz', 'GET, HEAD'],
  ['/docs', 'GET, HEAD'],
])('%s refuses every method but %s with 405 and says so', async (url, allow) => {
  for (const method of METHODS.filter((each) => each !== 'CONNECT' && !allow.split(', ').includes(each))) {
    const answer = await api.app.inject({ method: method as 'PUT', url, headers: { 'content-type': 'text/xml' } })
    expect(answer.statusCode, `${method}`).toBe(405)
    expect(answer.headers.allow).toBe(allow)
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    if (method !== 'HEAD')
      expect(answer.json()).toMatchObject({ code: 'METHOD_NOT_ALLOWED', remedy: expect.any(String) })
  }
})

test('an address that is none is 404 for every method', async () => {
  for (const method of ['GET', 'PUT', 'PROPFIND', 'OPTIONS']) {
    const answer = await api.app.inject({ method: method as 'PUT', url: '/v1/nothing' })
    expect(answer.json(), `${method}`).toMatchObject({ status: 404, code: 'ROUTE_UNKNOWN' })
  }
})

test('a connection that has had answers gets the problem as well', async () => {
  const answer = await answerTo('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n', 'hello\r\n\r\n')
  expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400'])
  expect(answer).toContain('"code":"REQUEST_INVALID"')
})

test.each([
  [
    'headers that are too large',
    `GET /healthz HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'HEADERS_TOO_LARGE',
  ],
  ['an address that is too long', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
  ['what is no HTTP', 'hello\r\n\r\n', 400, 'REQUEST_INVALID'],
  [
    'two lengths',
    'POST /v1/dumps HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
    400,
    'REQUEST_INVALID',
  ],
  ['an unknown expectation', 'GET /healthz HTTP/1.1\r\nhost: x\r\nexpect: coffee\r\n\r\n', 417, 'EXPECTATION_UNKNOWN'],
])('%s: a problem', async (_what, bytes, status, code) => {
  const answer = await answerTo(bytes)
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(answer.toLowerCase()).toContain('content-type: application/problem+json')
  expect(answer).toContain(`"code":"${code}"`)
})
