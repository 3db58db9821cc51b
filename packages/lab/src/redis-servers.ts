import { type ChildProcess, execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { collectStderr, killAndWait, spawnBound } from './bound-process.ts'
import { startJanitor } from './janitor.ts'
import { LabError } from './lab-error.ts'
import { waitUntil } from './wait-until.ts'

const run = promisify(execFile)
export const READY_WITHIN_MS = 60_000

/** TLS at every port, and who may ask. */
export interface RedisSecurity {
  /** PEM: who signed the certificate, the certificate of 127.0.0.1, its key. */
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
  /** Who may ask the servers, besides this lab; the default user may not. */
  readonly user: string
  readonly password: string
  /** What Sentinels ask for. */
  readonly sentinelPassword: string
}

/** As whom this lab asks, and the servers each other: users' passwords can then be changed. */
const LAB_USER = 'lab'
const LAB_PASSWORD = 'lab'

/** redis-servers on ports of 127.0.0.1, in a folder that goes with them. */
export class RedisServers implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ullage-redis-set-'))
  readonly #children = new Map<number, ChildProcess>()
  readonly #sentinels = new Set<number>()
  readonly #janitor = startJanitor({ paths: [this.#folder] })
  readonly #security: RedisSecurity | undefined

  constructor(security?: RedisSecurity) {
    this.#security = security
  }

  /** Starts one that keeps jobs; `settings` are lines of redis.conf. */
  async start(port: number, settings: readonly string[] = []): Promise<void> {
    const users = this.#security ? usersOf(this.#security) : []
    await this.#start(port, ['save ""', 'maxmemory-policy noeviction', ...users, ...settings], [])
  }

  /** Starts a Sentinel that looks after the master at `master`. */
  async startSentinel(port: number, name: string, master: number): Promise<void> {
    this.#sentinels.add(port)
    const { sentinelPassword } = this.#security ?? {}
    const logIn = [`sentinel auth-user ${name} ${LAB_USER}`, `sentinel auth-pass ${name} ${LAB_PASSWORD}`]
    const own = [`requirepass ${sentinelPassword}`, `sentinel sentinel-pass ${sentinelPassword}`]
    const settings = [
      `sentinel monitor ${name} 127.0.0.1 ${master} 2`,
      `sentinel down-after-milliseconds ${name} 2000`,
      `sentinel failover-timeout ${name} 10000`,
      ...(sentinelPassword === undefined ? [] : [...logIn, ...own]),
    ]
    await this.#start(port, settings, ['--sentinel'])
  }

  /** What redis-cli prints for a command to the server at this port. */
  async ask(port: number, ...command: string[]): Promise<string> {
    const argv = [...this.cliOptions(port), '-h', '127.0.0.1', '-p', String(port), ...command]
    return (await run('redis-cli', argv, { timeout: 10_000 })).stdout
  }

  /** What redis-cli needs to be let in at this port. */
  cliOptions(port: number): string[] {
    if (!this.#security) return []
    const { caFile, sentinelPassword } = this.#security
    const isSentinel = this.#sentinels.has(port)
    const logIn = isSentinel ? ['--pass', sentinelPassword] : ['--user', LAB_USER, '--pass', LAB_PASSWORD]
    return ['--tls', '--cacert', caFile, '--no-auth-warning', ...logIn]
  }

  /** Undefined for one that does not run. */
  async roleOf(port: number): Promise<string | undefined> {
    return (await this.ask(port, 'ROLE').catch(() => undefined))?.split('\n')[0]
  }

  async kill(port: number): Promise<void> {
    const child = this.#children.get(port)
    if (!child) throw new LabError(`no redis-server was started at ${port}`)
    await killAndWait(child)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#children.values()].map(killAndWait))
    await this.#janitor.clean()
  }

  async #start(port: number, settings: readonly string[], argv: readonly string[]): Promise<void> {
    const folder = join(this.#folder, String(port))
    mkdirSync(folder)
    const file = join(folder, 'redis.conf')
    const common = ['bind 127.0.0.1', `dir ${folder}`, 'loglevel warning', ...this.#listen(port)]
    writeFileSync(file, `${[...common, ...settings].join('\n')}\n`, { mode: 0o600 })
    const child = spawnBound(['redis-server', file, ...argv], ['ignore', 'pipe', 'pipe'])
    this.#children.set(port, child)
    child.stdout?.resume()
    const stderr = collectStderr(child)
    const answers = async () => {
      if (child.exitCode !== null) throw new LabError(`redis-server ended with status ${child.exitCode}: ${stderr()}`)
      return (await this.ask(port, 'PING').catch(() => '')).startsWith('PONG')
    }
    await waitUntil(answers, { what: () => `no redis-server answers at ${port}`, timeoutMs: READY_WITHIN_MS })
  }

  #listen(port: number): string[] {
    if (!this.#security) return [`port ${port}`]
    const { caFile, certFile, keyFile } = this.#security
    const certificates = [`tls-ca-cert-file ${caFile}`, `tls-cert-file ${certFile}`, `tls-key-file ${keyFile}`]
    return ['port 0', `tls-port ${port}`, ...certificates, 'tls-auth-clients no', 'tls-replication yes']
  }
}

function usersOf({ user, password }: RedisSecurity): string[] {
  const all = '~* &* +@all'
  const users = [
    'user default off',
    `user ${user} on >${password} ${all}`,
    `user ${LAB_USER} on >${LAB_PASSWORD} ${all}`,
  ]
  return [...users, `masteruser ${LAB_USER}`, `masterauth ${LAB_PASSWORD}`]
}

/** Ports that nobody listens at now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
