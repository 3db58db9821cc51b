import { afterEach, expect, test } from 'vitest'
import { expectDocumented, setUp } from '../../test/api-under-test.ts'
import { badToken } from './bearer-token.ts'

let api: Awaited<ReturnType<typeof setUp>>
afterEach(async () => {
  await expectDocumented(api)
  await api.tearDown()
})

/** Whoever says a name is let in by it. */
const byName = async (authorization: string | undefined) => {
  if (authorization === undefined) throw badToken('expected a name')
  return { id: authorization, tenant: null, scopes: new Set(['admin'] as const) }
}

async function ask(url: string, options: { as?: string; from?: string; times: number }) {
  const { as, from = '192.0.2.1', times } = options
  const headers = as === undefined ? {} : { authorization: as }
  const answers = []
  for (let each = 0; each < times; each++) answers.push(await api.app.inject({ url, headers, remoteAddress: from }))
  return answers.map(({ statusCode }) => statusCode)
}

test('each principal has its own number of requests in a minute, wherever it asks from', async () => {
  api = await setUp({ authenticate: byName, perMinute: 3 })
  expect(await ask('/v1/dumps', { as: 'a', times: 2 })).toEqual([200, 200])
  expect(await ask('/v1/hosts', { as: 'a', from: '192.0.2.2', times: 2 })).toEqual([200, 429])
  expect(await ask('/v1/dumps', { as: 'b', times: 1 })).toEqual([200])
  const { headers, ...answer } = await api.app.inject({ url: '/v1/dumps', headers: { authorization: 'a' } })
  expect(answer.json()).toMatchObject({ status: 429, code: 'RATE_LIMITED' })
  expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60)
})

test('all principals of a tenant together have four times the number of one', async () => {
  api = await setUp({
    async authenticate(authorization = '') {
      const [tenant = null, id = ''] = authorization.split(' ')
      return { id, tenant, scopes: new Set(['admin'] as const) }
    },
    perMinute: 2,
  })
  for (const name of ['a', 'b', 'c'])
    expect(await ask('/v1/dumps', { as: `acme ${name}`, times: 2 })).toEqual([200, 200])
  // What is refused one of them is taken from none of the others.
  expect(await ask('/v1/dumps', { as: 'acme a', times: 3 })).toEqual([429, 429, 429])
  expect(await ask('/v1/dumps', { as: 'acme d', times: 2 })).toEqual([200, 200])
  const refused = await api.app.inject({ url: '/v1/dumps', headers: { authorization: 'acme e' } })
  expect(refused.json()).toMatchObject({ code: 'RATE_LIMITED', detail: expect.stringContaining('8 requests of all') })
  expect(await ask('/v1/dumps', { as: 'other a', times: 2 })).toEqual([200, 200])
})

test('where nobody is asked each address has its own number', async () => {
  api = await setUp({ perMinute: 2 })
  expect(await ask('/v1/dumps', { times: 3 })).toEqual([200, 200, 429])
  expect(await ask('/v1/dumps', { from: '192.0.2.2', times: 1 })).toEqual([200])
})

test('who is nobody is counted by address, guesses and wrong addresses included', async () => {
  api = await setUp({ authenticate: byName, perMinute: 9, openPerMinute: 3 })
  expect(await ask('/v1/dumps', { times: 2 })).toEqual([401, 401])
  expect(await ask('/v1/nothing', { times: 2 })).toEqual([404, 429])
  expect(await ask('/v1/dumps', { times: 1 })).toEqual([429])
  expect(await ask('/v1/dumps', { from: '192.0.2.2', times: 1 })).toEqual([401])
  expect(await ask('/v1/dumps', { as: 'a', times: 1 })).toEqual([200])
  // Guesses hold up no probe, not even of the same address.
  expect(await ask('/healthz', { times: 1 })).toEqual([200])
})

test('each address has its own number of requests to each open route', async () => {
  api = await setUp({ authenticate: byName, perMinute: 9, openPerMinute: 2 })
  for (const url of ['/healthz', '/readyz', '/openapi.json', '/docs']) {
    expect(await ask(url, { times: 3 }), `${url}`).toEqual([200, 200, 429])
    expect(await ask(url, { from: '192.0.2.2', times: 1 }), `${url}`).toEqual([200])
  }
  const { headers, ...answer } = await api.app.inject({ url: '/healthz', remoteAddress: '192.0.2.1' })
  expect(answer.json()).toMatchObject({ status: 429, code: 'RATE_LIMITED' })
  expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  expect(await ask('/v1/dumps', { as: 'a', times: 1 })).toEqual([200])
})

test('what is open is not limited where no limit is set', async () => {
  api = await setUp({ authenticate: byName, perMinute: 1 })
  expect(await ask('/healthz', { times: 9 })).toEqual(Array(9).fill(200))
  expect(await ask('/v1/dumps', { times: 9 })).toEqual(Array(9).fill(401))
})
