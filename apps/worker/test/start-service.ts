import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type DumpResource, dumpResource, type DumpState, isFinished } from '@ullage/dump-job'
import { type LabRedis, startRedis } from '@ullage/lab'

export const API_MAIN = new URL('../../api/src/main.ts', import.meta.url)
const WORKER_MAIN = new URL('../src/main.ts', import.meta.url)

/** A process of ours, with what it has logged. */
export interface Running {
  readonly process: ChildProcess
  readonly pid: number
  log(): string
  /** Sends the signal to it, or to its whole process group, and waits for its end. */
  kill(signal: NodeJS.Signals, whom?: 'process' | 'group'): Promise<void>
}

export interface ServiceOptions {
  /** Instead of a Redis of its own; disposing the service ends it, too. */
  readonly redis?: LabRedis
  /** The address of a Redis that is left as it is. */
  readonly redisUrl?: string
  /** Settings of its APIs besides. */
  readonly apiEnv?: Readonly<Record<string, string>>
  /** Settings of every process besides; with ULLAGE_ARTIFACTS they have no folder for artifacts. */
  readonly env?: Readonly<Record<string, string>>
}

/** A Redis, an API and what a worker needs, in folders of their own; disposing it ends and removes all of it. */
export class Service implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'ullage-service-'))
  readonly guestsDir = join(this.folder, 'guests')
  readonly artifactsDir = join(this.folder, 'artifacts')
  readonly #redis: LabRedis | undefined
  readonly #redisUrl: string
  url = ''
  #api: Running | undefined
  readonly #running: Running[] = []
  readonly #apiEnv: Readonly<Record<string, string>>
  #restartedRedis: { kill(signal: NodeJS.Signals): Promise<void> } | undefined

  readonly #env: Readonly<Record<string, string>>

  private constructor(
    redisUrl: string,
    { redis, apiEnv = {}, env = {} }: Pick<ServiceOptions, 'redis' | 'apiEnv' | 'env'>,
  ) {
    this.#redisUrl = redisUrl
    this.#redis = redis
    this.#apiEnv = apiEnv
    this.#env = env
    mkdirSync(this.guestsDir)
    mkdirSync(this.artifactsDir)
  }

  static async start(options: ServiceOptions = {}): Promise<Service> {
    const own = options.redisUrl === undefined ? (options.redis ?? (await startRedis())) : undefined
    const service = new Service(options.redisUrl ?? own?.url ?? '', { ...options, ...(own && { redis: own }) })
    try {
      await service.startApi()
      return service
    } catch (error) {
      await service[Symbol.asyncDispose]()
      throw error
    }
  }

  get redis(): LabRedis {
    if (!this.#redis) throw new Error('this service was started with a Redis of somebody else')
    return this.#redis
  }

  get api(): Running {
    if (!this.#api) throw new Error('the API was not started')
    return this.#api
  }

  async startApi(): Promise<Running> {
    const api = this.start(API_MAIN, { ULLAGE_API_LISTEN: '127.0.0.1:0', ...this.#apiEnv })
    await until(
      () => `the API listens: ${api.log()}`,
      () => /"url":"([^"]+)"/.test(api.log()),
    )
    this.url = /"url":"([^"]+)"/.exec(api.log())?.[1] ?? ''
    this.#api = api
    return api
  }

  /** Starts a worker in a process group of its own, and waits until the API sees its guests. */
  async startWorker(
    options: { main?: URL; env?: Record<string, string>; launcher?: readonly string[] } = {},
  ): Promise<Running> {
    const { main = WORKER_MAIN, env = {}, launcher } = options
    const worker = this.start(main, { ULLAGE_HOST_ID: 'h1', ULLAGE_LOCK_SECONDS: '3', ...env }, launcher)
    await until(
      () => `the worker is ready: ${worker.log()}`,
      () => worker.log().includes('"worker ready"') || worker.process.exitCode !== null,
    )
    return worker
  }

  /** `launcher` is a command that becomes the process it is given. */
  start(main: URL, env: Record<string, string>, launcher: readonly string[] = []): Running {
    const [command = process.execPath, ...argv] = [
      ...launcher,
      process.execPath,
      '--conditions=@ullage/source',
      fileURLToPath(main),
    ]
    const child = spawn(command, argv, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        ULLAGE_REDIS_URL: this.#redisUrl,
        ...(this.#env['ULLAGE_ARTIFACTS'] === undefined && { ULLAGE_ARTIFACTS_DIR: this.artifactsDir }),
        ULLAGE_GUESTS_DIR: this.guestsDir,
        ULLAGE_STATE_DIR: join(this.folder, 'state'),
        ...this.#env,
        ...env,
      },
    })
    let log = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        log += text
      })
    }
    const { pid } = child
    if (pid === undefined) throw new Error(`${main.href} did not start`)
    const running: Running = {
      process: child,
      pid,
      log: () => log,
      async kill(signal, whom = 'process') {
        if (child.exitCode !== null || child.signalCode !== null) return
        const ended = once(child, 'exit')
        process.kill(whom === 'group' ? -pid : pid, signal)
        await ended
      },
    }
    this.#running.push(running)
    return running
  }

  /** Redis dies without a word, and another one takes its place with what is in its append-only file. */
  async restartRedis(): Promise<void> {
    const { pid, folder, socketPath } = this.redis
    const running = this.#restartedRedis ?? { kill: async () => void process.kill(pid, 'SIGKILL') }
    await running.kill('SIGKILL')
    const argv = ['--port', '0', '--unixsocket', socketPath, '--dir', folder, '--appendonly', 'yes', '--save', '']
    const child = spawn('redis-server', [...argv, '--maxmemory-policy', 'noeviction'], { stdio: 'ignore' })
    this.#restartedRedis = {
      async kill(signal) {
        const ended = once(child, 'exit')
        child.kill(signal)
        await ended
      },
    }
  }

  describe(guest: string, descriptor: object): void {
    writeFileSync(join(this.guestsDir, `${guest}.json`), JSON.stringify(descriptor))
  }

  /** A guest of the engine double, whose attempts end as told. */
  describeDouble(guest: string, ...attempts: string[]): void {
    this.describe(guest, { backend: 'test-double', attempts, counter: join(this.folder, `${guest}.attempts`) })
  }

  async request(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, init)
  }

  async post(body: object): Promise<Response> {
    const headers = { 'content-type': 'application/json' }
    return this.request('/v1/dumps', { method: 'POST', headers, body: JSON.stringify(body) })
  }

  /** Posts a dump that has to be accepted. */
  async dump(body: object): Promise<DumpResource> {
    const answer = await this.post(body)
    const text = await answer.text()
    if (answer.status !== 202) throw new Error(`POST /v1/dumps was answered with ${answer.status}: ${text}`)
    return dumpResource.parse(JSON.parse(text))
  }

  async show(id: string): Promise<DumpResource> {
    return dumpResource.parse(await (await this.request(`/v1/dumps/${id}`)).json())
  }

  /** The dump once it is in one of `states`; throws when it ends in another, or after `timeoutMs`. */
  async untilState(id: string, states: readonly DumpState[], timeoutMs = 60_000): Promise<DumpResource> {
    let dump = await this.show(id)
    await until(
      () => `dump ${id} is ${states.join(' or ')}; it is ${JSON.stringify(dump)}`,
      async () => {
        dump = await this.show(id)
        if (!states.includes(dump.state) && isFinished(dump.state)) {
          throw new Error(`expected dump ${id} to be ${states.join(' or ')}, found ${JSON.stringify(dump)}`)
        }
        return states.includes(dump.state)
      },
      timeoutMs,
    )
    return dump
  }

  /** Files below the artifacts folder, unfinished ones included, locks not. */
  files(): string[] {
    return readdirSync(this.artifactsDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.artifactsDir.length + 1))
      .filter((file) => !file.startsWith('.locks/'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running) await running.kill('SIGKILL', 'group')
    await this.#restartedRedis?.kill('SIGKILL')
    await this.#redis?.[Symbol.asyncDispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Asks every few milliseconds until the answer is true; throws, saying what for, after `timeoutMs`. */
export async function until(
  what: string | (() => string),
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms until ${typeof what === 'string' ? what : what()}`)
    }
    await delay(5)
  }
}

/** Process ids of the children of `pid`, by /proc. */
export function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^\d+ \(.*\) [ZX]/s.test(stat)
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return false
    throw error
  }
}
