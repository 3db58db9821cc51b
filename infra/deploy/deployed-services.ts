import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type App, deployedSettings, pathOf } from './read-deployed.ts'

const READY_WITHIN_MS = 60_000

/** Redis, API and worker with the settings that a host with systemd gives them, in a folder and on ports of their own. */
export class DeployedServices implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ullage-deployed-'))
  readonly #children: ChildProcess[] = []
  readonly redisSocket = join(this.#folder, 'redis.sock')
  /** Of scope admin and of no tenant. */
  key = ''
  apiUrl = ''
  workerUrl = ''

  static async start(): Promise<DeployedServices> {
    const services = new DeployedServices()
    try {
      await services.#start()
      return services
    } catch (error) {
      await services[Symbol.asyncDispose]()
      throw error
    }
  }

  async #start(): Promise<void> {
    const argv = [pathOf('redis/redis.conf'), '--port', '0', '--unixsocket', this.redisSocket, '--dir', this.#folder]
    this.#spawn('redis-server', argv, {})
    const makeKey = [...mainOf('api'), 'make-key', '--id', 'operator', '--scopes', 'admin']
    const made = execFileSync(process.execPath, makeKey, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const [key = '', entry = ''] = made.split('\n')
    this.key = key
    const keysFile = join(this.#folder, 'keys.json')
    writeFileSync(keysFile, `{ "keys": [ ${entry} ] }`)
    chmodSync(keysFile, 0o640)
    const places = { ULLAGE_REDIS_URL: `unix://${this.redisSocket}`, ULLAGE_ARTIFACTS_DIR: join(this.#folder, 'dumps') }
    const guests = join(this.#folder, 'guests')
    mkdirSync(guests)
    const urls = await Promise.all([
      this.#startApp('api', {
        ...places,
        ULLAGE_STATE_DIR: join(this.#folder, 'api'),
        ULLAGE_AUTH_KEYS_FILE: keysFile,
        ULLAGE_AUDIT_FILE: join(this.#folder, 'audit.jsonl'),
        ULLAGE_API_LISTEN: '127.0.0.1:0',
      }),
      this.#startApp('worker', {
        ...places,
        ULLAGE_HOST_ID: 'host-1',
        ULLAGE_STATE_DIR: join(this.#folder, 'worker'),
        ULLAGE_SPOOL_DIR: join(this.#folder, 'spool'),
        ULLAGE_GUESTS_DIR: guests,
        ULLAGE_WORKER_LISTEN: '127.0.0.1:0',
      }),
    ])
    ;[this.apiUrl, this.workerUrl] = urls
  }

  /** Resolves with the address that it says it listens at, when it is ready. */
  async #startApp(app: App, own: Record<string, string>): Promise<string> {
    const env = { ...deployedSettings(app).systemd, ...own }
    const child = this.#spawn(process.execPath, mainOf(app), env)
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (said += text))
    for (const deadline = performance.now() + READY_WITHIN_MS; !said.includes(`"${app} ready"`); await delay(20)) {
      if (child.exitCode !== null || performance.now() > deadline) throw new Error(`the ${app} is not ready: ${said}`)
    }
    return /"url":"([^"]+)"/.exec(said)?.[1] ?? ''
  }

  #spawn(command: string, argv: string[], env: Record<string, string>): ChildProcess {
    const child = spawn(command, argv, {
      stdio: ['ignore', command === 'redis-server' ? 'ignore' : 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...env },
    })
    this.#children.push(child)
    return child
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
    const ended = running.map((child) => once(child, 'exit'))
    for (const child of running) child.kill('SIGKILL')
    await Promise.all(ended)
    rmSync(this.#folder, { recursive: true })
  }
}

function mainOf(app: App): string[] {
  return ['--conditions=@ullage/source', pathOf(`../../apps/${app}/src/main.ts`)]
}
