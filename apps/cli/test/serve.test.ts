import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { bootGuest, unpackXenFixture } from '@ullage/lab'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'

const ULLAGE = fileURLToPath(new URL('../bin/ullage.js', import.meta.url))

let folder: string
const running: ChildProcess[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ullage-serve-'))
})
afterEach(async () => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
  await until('all processes are gone', () => processesOf(folder).length === 0)
  rmSync(folder, { recursive: true })
})

function start(args: readonly string[] = [], env: Record<string, string> = {}) {
  const data = ['--data', join(folder, 'data'), '--guests', join(folder, 'guests'), '--listen', '127.0.0.1:0']
  const child = spawn(process.execPath, [ULLAGE, 'serve', ...data, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ULLAGE_STATE_DIR: join(folder, 'state'), ...env },
  })
  running.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
  return { child, said: () => said }
}

async function startReady(env: Record<string, string> = {}) {
  const served = start([], env)
  await until(
    () => `it is ready: ${served.said()}`,
    () => /serving at \S+/.test(served.said()),
  )
  return { ...served, url: /serving at (\S+)/.exec(served.said())?.[1] ?? '' }
}

/** Process ids of all that work with the folder, by their command line, environment or open log. */
function processesOf(path: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => `${read(`/proc/${pid}/cmdline`)}${read(`/proc/${pid}/environ`)}`.includes(path))
    .map(Number)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error) return ''
    throw error
  }
}

async function until(what: string | (() => string), condition: () => boolean | Promise<boolean>, timeoutMs = 30_000) {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited until ${typeof what === 'string' ? what : what()}`)
    await delay(20)
  }
}

test('serves, shows the guests, and ends with SIGTERM leaving no process', async () => {
  const { child, url, said } = await startReady()
  expect(said()).toContain(`curl ${url}/v1/guests`)
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  writeFileSync(join(folder, 'guests', 'broken.json'), '{}')
  await until('the guest is shown', async () => (await fetch(`${url}/v1/guests/broken`)).status === 200)
  expect(processesOf(folder).length).toBeGreaterThanOrEqual(4)
  child.kill('SIGTERM')
  const [status] = await once(child, 'close')
  expect(status).toBe(0)
  expect(processesOf(folder)).toEqual([])
})

test('kill -9 leaves no process; what was accepted is there when it serves again', async () => {
  const first = await startReady()
  first.child.kill('SIGKILL')
  const second = await startReady()
  expect((await fetch(`${second.url}/readyz`)).status).toBe(200)
  second.child.kill('SIGKILL')
  await until('all processes are gone', () => processesOf(folder).length === 0, 5_000)
})

test('kill -9 while a guest is paused: the guest runs again within 2 s, the dump is made when it serves again', async () => {
  await using guest = await bootGuest({ era: 'bookworm', memMiB: 256, fillMiB: 96 })
  const descriptor = { backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } }
  mkdirSync(join(folder, 'guests'))
  writeFileSync(join(folder, 'guests', 'web-1.json'), JSON.stringify(descriptor))
  const first = await startReady({ ULLAGE_LOCK_SECONDS: '3' })
  const posted = await fetch(`${first.url}/v1/dumps`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ guest: 'web-1', level: 0, compression: 'zlib' }),
  })
  expect(`${posted.status} ${await posted.clone().text()}`).toMatch(/^202 /)
  await until('the guest is paused', async () => (await guest.status()) === 'paused')
  const start = performance.now()
  first.child.kill('SIGKILL')
  await until('the guest runs again', async () => (await guest.status()) === 'running')
  expect(performance.now() - start).toBeLessThan(2_000)

  const second = await startReady({ ULLAGE_LOCK_SECONDS: '3' })
  const address = `${second.url}${posted.headers.get('location')}`
  const state = async () => z.object({ state: z.string() }).parse(await (await fetch(address)).json()).state
  await until('it is made', async () => (await state()) === 'succeeded', 60_000)
  expect(await guest.status()).toBe('running')
})

test('page tables of a PV guest are rewritten where a job asks for it, and refused where there are none', async () => {
  mkdirSync(join(folder, 'guests'))
  for (const name of ['xen-pv', 'xen-pvh'] as const) {
    const { core } = await unpackXenFixture(name)
    writeFileSync(
      join(folder, 'guests', `${name}.json`),
      JSON.stringify({ backend: 'xen', source: { kind: 'core', file: core } }),
    )
  }
  const { url } = await startReady()
  const made = async (guest: string) => {
    const posted = await fetch(`${url}/v1/dumps`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ guest, pvTables: 'rewrite' }),
    })
    expect(`${posted.status} ${await posted.clone().text()}`).toMatch(/^202 /)
    const address = `${url}${posted.headers.get('location')}`
    const state = async () => z.looseObject({ state: z.string() }).parse(await (await fetch(address)).json())
    await until('it has ended', async () => ['succeeded', 'failed'].includes((await state()).state), 60_000)
    return { address, dump: await state() }
  }
  const { address, dump } = await made('xen-pv')
  expect(dump).toMatchObject({ state: 'succeeded', options: { pvTables: 'rewrite' } })
  expect(await (await fetch(`${address}/report`)).json()).toMatchObject({ pvTables: { mode: 'rewrite', tables: 248 } })
  expect((await made('xen-pvh')).dump).toMatchObject({ state: 'failed', failure: { code: 'INVALID_OPTION' } })
})

test('an address that cannot be listened at is said in a sentence, and everything ends', async () => {
  const { child, said } = start(['--listen', 'nowhere'])
  const [status] = await once(child, 'close')
  expect(status).toBe(2)
  expect(said()).toContain('ULLAGE_API_LISTEN')
  expect(said()).not.toMatch(/^\s+at /m)
  expect(processesOf(folder)).toEqual([])
})

test('a data folder that the kernel lets nobody make is refused at once', async () => {
  const { child, said } = start(['--data', '/proc/ullage'])
  const [status] = await once(child, 'close')
  expect(status).toBe(2)
  expect(said()).toContain('/proc takes none')
  expect(said()).not.toMatch(/^\s+at /m)
})

test('a data folder that is a file is refused', async () => {
  mkdirSync(join(folder, 'guests'))
  writeFileSync(join(folder, 'data'), '')
  const { child, said } = start()
  const [status] = await once(child, 'close')
  expect(status).toBe(2)
  expect(said()).toContain('cannot be made')
})
