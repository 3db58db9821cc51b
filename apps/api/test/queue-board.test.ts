import { createHash, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dumpOptions, hostAliveKey, hostKey, hostsKey } from '@ullage/dump-job'
import { type LabRedis, startRedis } from '@ullage/lab'
import { Redis } from 'ioredis'
import { openClient } from '@ullage/redis-connection'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeKey } from '../src/auth/static-keys.ts'
import { BullQueue } from '../src/bull-queue.ts'
import type { DumpRecord } from '../src/dump-record.ts'
import { ApiProcess } from './api-process.ts'

/** The page that shows the queues, in a real API with a real Redis. */
const operator = makeKey({ id: 'operator', scopes: ['admin'] })
const tenant = makeKey({ id: 'tenant', scopes: ['admin'], tenant: 'acme' })
const BOARD = '/admin/queues'

/** Says which modules of bull-board its process loads. */
const TELL_LOADED = `data:text/javascript,${encodeURIComponent(`
  process.getBuiltinModule('node:module').registerHooks({
    load(url, context, next) {
      if (url.includes('/@bull-board/')) process.stderr.write('LOADED ' + url + String.fromCharCode(10))
      return next(url, context)
    },
  })`)}`

let server: LabRedis
let redis: Redis
beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.socketPath)
})
afterAll(async () => {
  redis?.disconnect()
  await server?.[Symbol.asyncDispose]()
})

async function announce(host: string): Promise<void> {
  const instance = randomUUID()
  const announced = { host, instance, startedAt: new Date().toISOString(), concurrency: 1, guests: [] }
  await redis.sadd(hostsKey, host)
  await redis.set(hostKey(host), JSON.stringify(announced))
  await redis.set(hostAliveKey(host), instance)
}

async function addJob(host: string): Promise<string> {
  const client = openClient({ path: server.socketPath, db: 0 }, 'fail')
  await new Promise((resolve) => client.once('ready', resolve))
  const queue = new BullQueue(client, () => undefined)
  const id = randomUUID()
  // Of a record, the queue reads these.
  const dump = { id, guest: 'web-1', host, tenant: 'acme', options: dumpOptions.parse({}) } as DumpRecord
  await queue.add(dump)
  await queue[Symbol.asyncDispose]()
  client.disconnect()
  return id
}

async function startApi(api: ApiProcess, env: Record<string, string> = {}) {
  const keys = join(api.folder, 'keys.json')
  writeFileSync(keys, JSON.stringify({ keys: [operator.entry, tenant.entry] }), { mode: 0o600 })
  const audit = join(api.folder, 'audit.jsonl')
  const url = await api.start({
    ULLAGE_REDIS_URL: `unix://${server.socketPath}`,
    ULLAGE_AUTH_KEYS_FILE: keys,
    ULLAGE_AUDIT_FILE: audit,
    NODE_OPTIONS: `--import ${TELL_LOADED}`,
    ...env,
  })
  const ask = (path: string, key?: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, { ...init, ...(key !== undefined && { headers: { authorization: `Bearer ${key}` } }) })
  return { ask, audit }
}

test('there is no such page unless it is asked for', async () => {
  await using api = new ApiProcess()
  const { ask } = await startApi(api)
  for (const path of ['', '/', '/api/queues', '/static/js/main.js']) {
    expect((await ask(`${BOARD}${path}`, operator.key)).status, `${path}`).toBe(404)
  }
  expect(api.said).not.toContain('LOADED')
})

describe('with ULLAGE_BULL_BOARD=on', () => {
  const api = new ApiProcess()
  let ask: Awaited<ReturnType<typeof startApi>>['ask']
  let audit: string
  let job: string
  beforeAll(async () => {
    await announce('h1')
    job = await addJob('h1')
    ;({ ask, audit } = await startApi(api, { ULLAGE_BULL_BOARD: 'on' }))
    expect(api.said).toContain('LOADED')
  })
  afterAll(() => api[Symbol.asyncDispose]())

  const paths = ['', '/', '/queue/dump-%7Bh1%7D', '/api/queues', '/api/redis/stats', '/static/favicon-32x32.png']

  test.each(paths)('%j is for an admin of no tenant alone', async (path) => {
    const [nobody, tenants, operators] = await Promise.all(
      [undefined, tenant.key, operator.key].map((key) => ask(`${BOARD}${path}`, key)),
    )
    expect([nobody?.status, tenants?.status, operators?.status]).toEqual([401, 403, 200])
    expect(nobody?.headers.get('www-authenticate')).toMatch(/^Bearer/)
    expect(await tenants?.json()).toMatchObject({ code: 'FORBIDDEN', status: 403 })
  })

  test('who looked, and who was refused, is in the audit log', async () => {
    const path = '/api/redis/stats'
    for (const key of [tenant.key, operator.key]) await ask(`${BOARD}${path}`, key)
    const lines = () => readFileSync(audit, 'utf8').trim().split('\n')
    const found = () =>
      lines()
        .map((line) => JSON.parse(line) as { action: string; principal: string; outcome: string })
        .filter(({ action }) => action === `GET ${BOARD}${path}`)
        .map(({ principal, outcome }) => `${principal} ${outcome}`)
    await expect.poll(found).toEqual(expect.arrayContaining(['key:tenant refused', 'key:operator allowed']))
  })

  test('the page has its own scripts and styles, and no others', async () => {
    const page = await ask(BOARD, operator.key)
    expect(page.headers.get('content-type')).toMatch(/^text\/html/)
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self' ('sha256-|'unsafe-hashes')[^;]*; img-src/,
    )
    expect(policy).not.toMatch(/unsafe-(inline|eval)|https?:|\*/)
    expect(page.headers.get('x-frame-options')).toBe('DENY')
    const html = await page.text()
    // Styles in the page itself, and one that a script of it adds.
    const styles = [...html.matchAll(/style="([^"]+)"|<style>(.*?)<\/style>/gs)].map(
      ([, one, other]) => one ?? other ?? '',
    )
    expect(styles.length).toBeGreaterThan(3)
    expect(html).toContain(`<base href="${BOARD}/" />`)
    const assets = [...html.matchAll(/(?:src|href)="(static\/(?:js|css)\/[^"]+)"/g)].map(([, asset]) => asset)
    expect(assets.length).toBeGreaterThan(1)
    for (const asset of assets) {
      const answer = await ask(`${BOARD}/${asset}`, operator.key)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toMatch(/javascript|css/)
      expect(answer.headers.get('cache-control')).toBe('no-store')
      expect(answer.headers.get('content-security-policy')).toContain("style-src 'self';")
      const added = [...(await answer.text()).matchAll(/"style",\{children:`([^`$]*)`/g)]
      styles.push(...added.map(([, style]) => style ?? ''))
    }
    for (const style of styles) {
      expect(policy, `${style}`).toContain(`'sha256-${createHash('sha256').update(style).digest('base64')}'`)
    }
    expect(styles.at(-1)).toContain('.rds-b1')
    // Only there: every other answer has the strictest policy.
    for (const path of ['/v1/hosts', '/healthz', `${BOARD}x`]) {
      const strict = (await ask(path, operator.key)).headers.get('content-security-policy')
      expect(strict, `${path}`).toMatch(/^default-src 'none'; frame-ancestors/)
    }
  })

  test('queues are those of the hosts that there are, also of one that comes later', async () => {
    const names = async () => {
      const { queues } = (await (await ask(`${BOARD}/api/queues`, operator.key)).json()) as {
        queues: { name: string; readOnlyMode: boolean; counts: Record<string, number> }[]
      }
      expect(queues.every(({ readOnlyMode }) => readOnlyMode)).toBe(true)
      return queues.map(({ name, counts }) => [name, counts['prioritized']])
    }
    expect(await names()).toEqual([
      ['dump-{h1}', 1],
      ['pages-{h1}', 0],
    ])
    await announce('h2')
    await expect.poll(names, { timeout: 10_000, interval: 500 }).toEqual([
      ['dump-{h1}', 1],
      ['pages-{h1}', 0],
      ['dump-{h2}', 0],
      ['pages-{h2}', 0],
    ])
  })

  test('a job is shown with what it asks for', async () => {
    const answer = await ask(`${BOARD}/api/queues/dump-%7Bh1%7D/${job}`, operator.key)
    expect(answer.status).toBe(200)
    const { job: shown } = (await answer.json()) as { job: { data: object } }
    expect(Object.keys(shown.data).sort()).toEqual(['dump', 'guest', 'options', 'schema', 'tenant'])
  })

  test('nothing can be changed by it', async () => {
    const before = await redis.keys('*')
    const changes = [
      ['PUT', `/api/queues/dump-%7Bh1%7D/pause`],
      ['PUT', `/api/queues/dump-%7Bh1%7D/empty`],
      ['PUT', `/api/queues/dump-%7Bh1%7D/obliterate`],
      ['PUT', `/api/queues/dump-%7Bh1%7D/${job}/clean`],
      ['POST', `/api/queues/dump-%7Bh1%7D/add`],
      ['PUT', `/api/queues/pause`],
      ['PUT', `/api/queues/clean`],
      ['PUT', '/api/queues'],
    ] as const
    for (const [method, path] of changes) {
      const { status } = await ask(`${BOARD}${path}`, operator.key, { method })
      expect([404, 405], `${method} ${path}`).toContain(status)
    }
    expect((await redis.keys('*')).sort()).toEqual(before.sort())
  })

  test('a redis that is away is said to be', async () => {
    process.kill(server.pid, 'SIGSTOP')
    try {
      const answer = await ask(`${BOARD}/api/queues`, operator.key)
      expect(answer.status).toBe(503)
      expect(await answer.json()).toMatchObject({ code: 'QUEUE_UNREACHABLE' })
    } finally {
      process.kill(server.pid, 'SIGCONT')
    }
  })
})
