import { type LabRedis, startRedis } from '@ullage/lab'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const API = resolve(import.meta.dirname, '../../apps/api/src/main.ts')
const WORKERS = {
  stub: resolve(import.meta.dirname, 'stub-worker.ts'),
  real: resolve(import.meta.dirname, '../../apps/worker/src/main.ts'),
} as const
const READY_WITHIN_MS = 120_000

/** The project's API and workers, a process each, on a private Redis. What dumps is the project's too, or a stub. */
export class LocalFleet implements AsyncDisposable {
  readonly redis: LabRedis
  readonly #folder: string
  readonly #signal: AbortSignal
  readonly #running: ChildProcess[] = []
  readonly #workers: ChildProcess[] = []
  #api: ChildProcess | undefined
  #url = ''

  private constructor(redis: LabRedis, signal: AbortSignal) {
    this.redis = redis
    this.#signal = signal
    this.#folder = mkdtempSync(join(tmpdir(), 'ullage-fleet-'))
  }

  static async start(signal: AbortSignal): Promise<LocalFleet> {
    return new LocalFleet(await startRedis({ signal }), signal)
  }

  async startApi(): Promise<void> {
    const { child, said } = this.#start(API, {
      ULLAGE_API_LISTEN: '127.0.0.1:0',
      ULLAGE_STATE_DIR: join(this.#folder, 'api'),
    })
    this.#api = child
    this.#url = await this.#heard(said, /"url":"([^"]+)"/)
  }

  /** A worker of its own for a host whose guests the stub dumps, in so many seconds each. */
  async startStubHost(host: string, guests: readonly { id: string; seconds: number }[]): Promise<void> {
    const descriptors = guests.map(({ id, seconds }) => [id, { backend: 'stub', seconds }] as const)
    await this.startHost(host, Object.fromEntries(descriptors), { worker: 'stub' })
  }

  /** A worker of its own for a host of guests with these descriptors. */
  async startHost(
    host: string,
    descriptors: Readonly<Record<string, object>>,
    { worker, env = {} }: { worker: keyof typeof WORKERS; env?: Readonly<Record<string, string>> },
  ): Promise<void> {
    const folder = join(this.#folder, host)
    const guestsDir = join(folder, 'guests')
    mkdirSync(guestsDir, { recursive: true })
    for (const [id, descriptor] of Object.entries(descriptors))
      writeFileSync(join(guestsDir, `${id}.json`), JSON.stringify(descriptor))
    const settings = { ULLAGE_HOST_ID: host, ULLAGE_GUESTS_DIR: guestsDir, ULLAGE_STATE_DIR: join(folder, 'state') }
    const { child, said } = this.#start(WORKERS[worker], { ...settings, ...env })
    this.#workers.push(child)
    await this.#heard(said, /"worker (ready)"/)
  }

  /** Stops the API or all workers where they stand (SIGSTOP), or lets them go on (SIGCONT). */
  signal(whom: 'api' | 'workers', name: 'SIGSTOP' | 'SIGCONT'): void {
    for (const child of whom === 'api' ? [this.#api] : this.#workers) child?.kill(name)
  }

  /** Where the API listens. */
  get url(): string {
    return this.#url
  }

  /** Names of what is published. */
  published(): string[] {
    return readdirSync(join(this.#folder, 'artifacts')).filter((name) => !name.startsWith('.'))
  }

  /** Whether the artifact of this dump stands where artifacts are published. */
  isPublished(dump: string): boolean {
    return existsSync(join(this.#folder, 'artifacts', dump))
  }

  /** The API's answer, parsed. Throws with what it said when it refuses. */
  async ask(path: string, body?: object): Promise<unknown> {
    const init = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const response = await fetch(`${this.#url}${path}`, { ...init, signal: this.#signal })
    const text = await response.text()
    if (!response.ok) throw new Error(`the API answered ${response.status} to ${path}: ${text.slice(0, 500)}`)
    return JSON.parse(text)
  }

  /** The status of the API's answer to this body. */
  async statusOf(path: string, body: object): Promise<number> {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${this.#url}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal: this.#signal,
    })
    await response.arrayBuffer()
    return response.status
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
    await this.redis[Symbol.asyncDispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #start(program: string, env: Readonly<Record<string, string>>): { child: ChildProcess; said: () => string } {
    const argv = ['--pdeathsig', 'KILL', process.execPath, '--conditions=@ullage/source', program]
    const common = { ULLAGE_REDIS_URL: this.redis.url, ULLAGE_ARTIFACTS_DIR: join(this.#folder, 'artifacts') }
    const child = spawn('setpriv', argv, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...common, ...env },
    })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        text = (text + part).slice(-65_536)
      })
    }
    this.#running.push(child)
    return { child, said: () => (child.exitCode === null ? text : `${text}\nended with status ${child.exitCode}`) }
  }

  async #heard(said: () => string, what: RegExp): Promise<string> {
    const deadline = performance.now() + READY_WITHIN_MS
    for (;;) {
      const found = what.exec(said())?.[1]
      if (found !== undefined) return found
      if (performance.now() > deadline || /ended with status \d+$/.test(said()))
        throw new Error(`a process of the fleet did not get ready: ${said().slice(-2000)}`)
      await setTimeout(50, undefined, { signal: this.#signal })
    }
  }
}
