import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dumpOptions } from '@ullage/dump-job'
import Fastify from 'fastify'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { expectDocumented, guest, host, reportOf, setUp } from '../../test/api-under-test.ts'
import { KeyServer } from '../../test/key-server.ts'
import { Journal } from '../journal.ts'
import { authenticateBy } from './authenticate.ts'
import { guardRoutes } from './guard-routes.ts'
import { JwtTokens } from './jwt-tokens.ts'
import { scope } from './principal.ts'
import { type Access, routeAccess } from './route-access.ts'

type Api = Awaited<ReturnType<typeof setUp>>
let issuer: KeyServer
let api: Api
let dump: string

beforeAll(async () => {
  issuer = await KeyServer.start()
})
afterAll(() => issuer[Symbol.asyncDispose]())
beforeEach(async () => {
  api = await setUp({ authenticate: authenticateBy({ jwt: new JwtTokens(issuer.settings) }) })
  api.fleet.now = [
    host('h1', [guest('web-1', 'acme'), guest('web-2', 'other'), guest('both', 'acme')]),
    host('h2', [guest('db-1', 'other'), guest('both', 'other'), guest('nobodys')]),
  ]
  api.queue.pagesAnswer = {
    guest: { backend: 'xen', kernel: null, pageSize: 4096 },
    frames: { total: 0, byClass: {}, byFate: {} },
    warnings: [],
  }
  dump = finishedDump('acme')
})
afterEach(async () => {
  await expectDocumented(api)
  await api.tearDown()
})

/** A dump that succeeded, with its files. */
function finishedDump(tenant: string | null): string {
  const id = randomUUID()
  const asked = { id, guest: 'web-1', host: 'h1', options: dumpOptions.parse({}), tenant, requestedBy: 'jwt:alice' }
  api.journal.accept(asked)
  const report = reportOf(3, 'a'.repeat(64))
  const result = { artifact: report.artifact, pausedMs: 5, alarm: false, warnings: [], totalMs: 50 }
  api.journal.change(id, { state: 'running' })
  api.journal.change(id, { state: 'succeeded', finishedMs: 2_000, result })
  mkdirSync(join(api.folder, id))
  writeFileSync(join(api.folder, id, 'vmcore'), 'abc')
  writeFileSync(join(api.folder, id, 'report.json'), JSON.stringify(report))
  return id
}

const guarded = Object.entries(routeAccess).filter(([, access]) => access !== 'open') as [
  string,
  Exclude<Access, 'open'>,
][]

/** A request that this route would answer to who may: of the dump, or of the guest of tenant acme. */
function requestOf(route: string, { guest = 'web-1', id = dump } = {}) {
  const [method, path = ''] = route.split(' ') as ['GET' | 'POST' | 'PUT' | 'DELETE', string]
  const kind = path.split('/')[2] ?? ''
  const url = path.replace(':id', { guests: guest, hosts: 'h1' }[kind] ?? id)
  return { method, url, ...(method === 'POST' && { payload: { guest } }) }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const everything = scope.options.join(' ')
/** What a token needs for a route with this access, and nothing more. */
const leastClaims = (access: Exclude<Access, 'open'>) =>
  access === 'fleet' ? { scope: 'admin' } : { scope: access, ...(access !== 'metrics:read' && { tenant: 'acme' }) }
const soon = () => Math.floor(Date.now() / 1000)
const all = { tenant: 'acme', scope: everything }

const refusedTokens: Record<string, () => Promise<Record<string, string>>> = {
  'no token': async () => ({}),
  'no bearer token': async () => ({ authorization: `Basic ${Buffer.from('a:b').toString('base64')}` }),
  'an empty token': async () => ({ authorization: 'Bearer ' }),
  'two tokens': async () => ({ authorization: `Bearer ${await issuer.sign(all)}, Bearer x` }),
  'a bad token': async () => bearer('x.y.z'),
  'a key that nobody made': async () => bearer(`ullage_${'a'.repeat(43)}`),
  'a token whose claims were changed': async () => {
    const [header, , signature] = (await issuer.sign({ ...all, tenant: 'other' })).split('.')
    const [, payload] = (await issuer.sign(all)).split('.')
    return bearer(`${header}.${payload}.${signature}`)
  },
  'a token of a key that is not published': async () => {
    await using stranger = await KeyServer.start()
    return bearer(await stranger.sign(all))
  },
  'an expired token': async () => bearer(await issuer.sign({ ...all, exp: soon() - 60 })),
  'a token that never expires': async () => bearer(await issuer.sign({ ...all, exp: undefined })),
  'a token that is not valid yet': async () => bearer(await issuer.sign({ ...all, nbf: soon() + 600 })),
  'a token for another audience': async () => bearer(await issuer.sign({ ...all, aud: 'billing' })),
  'a token for no audience': async () => bearer(await issuer.sign({ ...all, aud: undefined })),
  'a token of another issuer': async () => bearer(await issuer.sign({ ...all, iss: 'https://id.example.evil' })),
  'an unsigned token': async () => bearer(await issuer.unsigned(all)),
  'a token signed with the public key': async () => bearer(await issuer.signWithPublicKey(all)),
  'a token of nobody': async () => bearer(await issuer.sign({ ...all, sub: undefined })),
  'a token of no tenant and no admin': async () => bearer(await issuer.sign({ scope: 'dumps:read dumps:write' })),
  'a token of something that is no tenant': async () => bearer(await issuer.sign({ ...all, tenant: '../acme' })),
  'a token of several tenants': async () => bearer(await issuer.sign({ ...all, tenant: ['acme', 'other'] })),
}

test.each(Object.keys(refusedTokens))('%s opens no route', async (name) => {
  const headers = await refusedTokens[name]?.()
  for (const [route] of guarded) {
    const answer = await api.app.inject({ ...requestOf(route), headers: { ...headers } })
    expect(answer.statusCode, `${route}`).toBe(401)
    expect(answer.json(), `${route}`).toMatchObject({ code: 'UNAUTHENTICATED' })
    expect(answer.headers['www-authenticate'], `${route}`).toMatch(/^Bearer realm="ullage"/)
    const token = headers?.authorization?.split(' ')[1]
    if (token) expect(answer.payload).not.toContain(token)
  }
  expect(api.journal.counts()).toMatchObject({ queued: 0, succeeded: 1 })
})

test('who may read metrics alone may do nothing else, and nothing else goes without a tenant', async () => {
  const headers = bearer(await issuer.sign({ scope: 'metrics:read' }))
  for (const [route] of guarded) {
    const { statusCode } = await api.app.inject({ ...requestOf(route), headers })
    expect(statusCode, `${route}`).toBe(route === 'GET /metrics' ? 200 : 403)
  }
  const more = bearer(await issuer.sign({ scope: 'metrics:read dumps:read' }))
  expect((await api.app.inject({ url: '/metrics', headers: more })).statusCode).toBe(401)
})

test('HEAD asks for what GET asks for', async () => {
  const heads = guarded.filter(([route]) => route.startsWith('GET') && !route.endsWith('/events'))
  expect(heads.length).toBeGreaterThan(8)
  for (const [route, access] of heads) {
    const request = { ...requestOf(route), method: 'HEAD' as const }
    expect((await api.app.inject(request)).statusCode, `${route}`).toBe(401)
    const headers = bearer(await issuer.sign(leastClaims(access)))
    expect((await api.app.inject({ ...request, headers })).statusCode, `${route}`).toBe(200)
    const foreign = bearer(await issuer.sign({ tenant: 'third', scope: 'admin' }))
    if (route.includes(':id')) expect((await api.app.inject({ ...request, headers: foreign })).statusCode).toBe(404)
  }
  // The document has HEAD only where a route is made for it.
  api.answers.length = 0
})

test('a token in the query string or in a cookie is none', async () => {
  const token = await issuer.sign(all)
  for (const [route] of guarded) {
    const { url, ...rest } = requestOf(route)
    const query = await api.app.inject({ ...rest, url: `${url}?access_token=${token}` })
    expect(query.statusCode, `${route}`).toBe(401)
    const cookie = await api.app.inject({ ...requestOf(route), headers: { cookie: `token=${token}` } })
    expect(cookie.statusCode, `${route}`).toBe(401)
  }
})

test.each(guarded)('%s asks for %s, and for that alone', async (route, access) => {
  const needed = access === 'fleet' ? 'admin' : access
  const others = scope.options.filter((each) => each !== needed && each !== 'admin').join(' ')
  const refused = await api.app.inject({
    ...requestOf(route),
    headers: bearer(await issuer.sign({ tenant: 'acme', scope: `openid ${others}` })),
  })
  expect(refused.statusCode).toBe(403)
  expect(refused.json()).toMatchObject({ code: 'FORBIDDEN' })
  expect(refused.headers['www-authenticate']).toContain(`error="insufficient_scope", scope="${needed}"`)
  const allowed = await api.app.inject({ ...requestOf(route), headers: bearer(await issuer.sign(leastClaims(access))) })
  expect([200, 202, 204]).toContain(allowed.statusCode)
})

test('what tells of all tenants is for an admin of none, and metrics for who may read nothing else', async () => {
  const fleet = guarded.filter(([, access]) => access === 'fleet' || access === 'metrics:read')
  expect(fleet.length).toBeGreaterThan(1)
  for (const [route] of fleet) {
    const admin = bearer(await issuer.sign({ scope: 'admin' }))
    expect((await api.app.inject({ ...requestOf(route), headers: admin })).statusCode).toBe(200)
    const headers = bearer(await issuer.sign({ tenant: 'acme', scope: 'admin metrics:read' }))
    expect((await api.app.inject({ ...requestOf(route), headers })).statusCode).toBe(403)
  }
})

test.each(guarded.filter(([route, access]) => access !== 'fleet' && /:id|POST/.test(route)))(
  "%s answers for what is another tenant's as for what is not there",
  async (route) => {
    const headers = bearer(await issuer.sign({ tenant: 'acme', scope: 'admin' }))
    for (const owner of ['other', null]) {
      const foreign = { id: finishedDump(owner), guest: owner === null ? 'nobodys' : 'db-1' }
      const absent = { id: randomUUID(), guest: 'nowhere' }
      const [there, notThere] = [
        await api.app.inject({ ...requestOf(route, foreign), headers }),
        await api.app.inject({ ...requestOf(route, absent), headers }),
      ]
      expect(there.statusCode).toBe(404)
      const alike = (text: string) => text.replaceAll(foreign.id, 'ID').replaceAll(foreign.guest, 'GUEST')
      const alikeNotThere = notThere.payload.replaceAll(absent.id, 'ID').replaceAll(absent.guest, 'GUEST')
      expect(alike(there.payload)).toBe(alikeNotThere)
      const { date: _, 'content-length': __, ...thereHeaders } = there.headers
      const { date: ___, 'content-length': ____, ...notThereHeaders } = notThere.headers
      expect(thereHeaders).toEqual(notThereHeaders)
      expect(api.journal.get(foreign.id)).toBeDefined()
    }
  },
)

test('a tenant lists what is its own, an admin of none lists all', async () => {
  const others = finishedDump('other')
  const listed = async (claims: object, url: string) => {
    const answer = await api.app.inject({ url, headers: bearer(await issuer.sign({ ...claims })) })
    return answer.json().items
  }
  const acme = { tenant: 'acme', scope: everything }
  const ids = (items: { id: string }[]) => items.map(({ id }) => id)
  expect(ids(await listed(acme, '/v1/dumps'))).toEqual([dump])
  expect(ids(await listed(acme, '/v1/guests'))).toEqual(['both', 'web-1'])
  expect(await listed(acme, '/v1/hosts')).toEqual([{ host: 'h1', reachable: true, guests: ['web-1', 'both'] }])
  expect(ids(await listed({ scope: 'admin' }, '/v1/dumps'))).toEqual([others, dump])
  expect(ids(await listed({ scope: 'admin' }, '/v1/guests'))).toHaveLength(6)
  expect(await listed({ scope: 'admin' }, '/v1/hosts')).toHaveLength(2)
  expect(await listed({ tenant: 'third', scope: everything }, '/v1/hosts')).toEqual([])
})

test('two tenants with a guest of the same name do not meet', async () => {
  const post = async (tenant: string) =>
    api.app.inject({
      ...requestOf('POST /v1/dumps', { guest: 'both' }),
      headers: bearer(await issuer.sign({ ...all, tenant })),
    })
  const [acme, other] = [await post('acme'), await post('other')]
  expect([acme.statusCode, other.statusCode]).toEqual([202, 202])
  expect([acme.json(), other.json()]).toMatchObject([
    { host: 'h1', tenant: 'acme' },
    { host: 'h2', tenant: 'other' },
  ])
  expect((await post('other')).json()).toMatchObject({ code: 'DUMP_ACTIVE', dump: other.json().links.self })
  const shown = await api.app.inject({ url: '/v1/guests/both', headers: bearer(await issuer.sign(all)) })
  expect(shown.json()).toMatchObject({ activeDump: acme.json().links.self })
  const admin = { headers: bearer(await issuer.sign({ scope: 'admin' })), url: '/v1/guests/both' }
  expect((await api.app.inject(admin)).json()).toMatchObject({ code: 'GUEST_AMBIGUOUS' })
})

test('who asked for a dump is written down', async () => {
  const headers = bearer(await issuer.sign({ ...all, sub: 'bob' }))
  const { id } = (await api.app.inject({ ...requestOf('POST /v1/dumps', { guest: 'both' }), headers })).json()
  expect(api.journal.get(id)).toMatchObject({ tenant: 'acme', requestedBy: 'jwt:bob' })
})

test('open routes ask nobody, and there are no others', async () => {
  const open = Object.entries(routeAccess).filter(([, access]) => access === 'open')
  expect(open.map(([route]) => route)).toEqual(['GET /healthz', 'GET /readyz', 'GET /openapi.json', 'GET /docs'])
  for (const [route] of open) expect((await api.app.inject(requestOf(route))).statusCode, `${route}`).toBe(200)
  expect((await api.app.inject('/v1/nothing')).statusCode).toBe(404)
})

test('the table has every route, and no other', async () => {
  for (const route of Object.keys(routeAccess)) {
    const [method, url] = route.split(' ') as ['GET', string]
    expect(api.app.hasRoute({ method, url }), `${route}`).toBe(true)
  }
  const app = Fastify()
  await guardRoutes(app.withTypeProvider(), {}, new Journal(':memory:'))
  const add = (method: 'GET' | 'PATCH', url: string) => app.route({ method, url, handler: async () => '' })
  expect(() => add('GET', '/v1/secrets')).toThrow('expected GET /v1/secrets in the table of who may use which route')
  expect(() => add('PATCH', '/v1/dumps')).toThrow('PATCH /v1/dumps')
  expect(() => add('GET', '/v1/dumps')).not.toThrow()
})

test('the document says which scope each route asks for', async () => {
  const { paths, components } = (await api.app.inject('/openapi.json')).json()
  expect(components.securitySchemes.bearer).toMatchObject({ type: 'http', scheme: 'bearer' })
  for (const [route, access] of guarded) {
    const [method = '', url = ''] = route.split(' ')
    const operation = paths[url.replace(':id', '{id}')][method.toLowerCase()]
    expect(operation.security, `${route}`).toEqual([{ bearer: [access === 'fleet' ? 'admin' : access] }])
  }
})
