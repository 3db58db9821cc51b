import { type ChildProcess, execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { collectStderr, killAndWait, spawnBound } from './bound-process.ts'
import { startJanitor } from './janitor.ts'
import { LabError } from './lab-error.ts'
import { waitUntil } from './wait-until.ts'

const run = promisify(execFile)
const READY_WITHIN_MS = 60_000
/** What the Sentinels call their master. */
const MASTER_NAME = 'ullage'

/** Several redis-servers that stand for one, on ports of 127.0.0.1. They die with this process, and their files with it. */
export interface LabRedisSet extends AsyncDisposable {
  /** As ULLAGE_REDIS_URL has it. */
  readonly url: string
  /** Ports of the masters there are now. */
  masters(): Promise<number[]>
  /** Ends the server at this port with SIGKILL. */
  kill(port: number): Promise<void>
  /** What redis-cli prints for a command to the server at this port. */
  ask(port: number, ...command: string[]): Promise<string>
}

/** One master, one replica, and three Sentinels that put the replica in its place when it is gone for 2 s. */
export async function startRedisSentinels(): Promise<LabRedisSet> {
  await using cleanup = new AsyncDisposableStack()
  const servers = cleanup.use(new Servers())
  const [master = 0, replica = 0, ...sentinels] = await freePorts(5)
  await servers.start(master, ['--save', '', '--maxmemory-policy', 'noeviction'])
  const follow = ['--replicaof', `127.0.0.1 ${master}`]
  await servers.start(replica, ['--save', '', '--maxmemory-policy', 'noeviction', ...follow])
  const synced = async () => /master_link_status:up/.test(await ask(replica, 'INFO', 'replication'))
  await waitUntil(synced, { what: () => 'the replica does not follow', timeoutMs: READY_WITHIN_MS })
  for (const port of sentinels) {
    const lines = [
      `port ${port}`,
      `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${master} 2`,
      `sentinel down-after-milliseconds ${MASTER_NAME} 2000`,
      `sentinel failover-timeout ${MASTER_NAME} 10000`,
    ]
    await servers.start(port, ['--sentinel'], `${lines.join('\n')}\n`)
  }
  const agreed = async (port: number) => {
    const known = await ask(port, 'SENTINEL', 'master', MASTER_NAME)
    return /num-other-sentinels\n2\n/.test(known) && /num-slaves\n1\n/.test(known)
  }
  await waitUntil(async () => (await Promise.all(sentinels.map(agreed))).every(Boolean), {
    what: () => 'the Sentinels do not know of each other',
    timeoutMs: READY_WITHIN_MS,
  })
  const resources = cleanup.move()
  return {
    url: `redis+sentinel://${sentinels.map((port) => `127.0.0.1:${port}`).join(',')}/${MASTER_NAME}`,
    async masters() {
      const told = await ask(sentinels[0] ?? 0, 'SENTINEL', 'get-master-addr-by-name', MASTER_NAME)
      return [Number(told.split('\n')[1])]
    },
    kill: (port) => servers.kill(port),
    ask,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** A Cluster of three masters; with replicas, one more server for each, which takes the place of a master that is gone. */
export async function startRedisCluster(options: { replicas?: boolean } = {}): Promise<LabRedisSet> {
  await using cleanup = new AsyncDisposableStack()
  const servers = cleanup.use(new Servers())
  const replicas = options.replicas ? 1 : 0
  const ports = await freePorts(6 * (1 + replicas))
  const nodes = ports.slice(ports.length / 2)
  for (const [index, port] of nodes.entries()) {
    const cluster = [
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(ports[index]),
      '--cluster-node-timeout',
      '2000',
    ]
    await servers.start(port, ['--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction', ...cluster])
  }
  const addresses = nodes.map((port) => `127.0.0.1:${port}`)
  const create = ['--cluster', 'create', ...addresses, '--cluster-replicas', String(replicas), '--cluster-yes']
  await run('redis-cli', create, { timeout: READY_WITHIN_MS })
  const healthy = async (port: number) => /cluster_state:ok/.test(await ask(port, 'CLUSTER', 'INFO'))
  await waitUntil(async () => (await Promise.all(nodes.map(healthy))).every(Boolean), {
    what: () => 'the cluster does not become whole',
    timeoutMs: READY_WITHIN_MS,
  })
  const resources = cleanup.move()
  return {
    url: `redis+cluster://${addresses.join(',')}`,
    async masters() {
      const roles = await Promise.all(nodes.map(async (port) => [port, await servers.roleOf(port)] as const))
      return roles.filter(([, role]) => role === 'master').map(([port]) => port)
    },
    kill: (port) => servers.kill(port),
    ask,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

async function ask(port: number, ...command: string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-h', '127.0.0.1', '-p', String(port), ...command], { timeout: 10_000 })
  return stdout
}

class Servers implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ullage-redis-set-'))
  readonly #children = new Map<number, ChildProcess>()
  readonly #janitor = startJanitor({ paths: [this.#folder] })

  async start(port: number, settings: readonly string[], config?: string): Promise<void> {
    const folder = join(this.#folder, String(port))
    mkdirSync(folder)
    const file = join(folder, 'redis.conf')
    if (config !== undefined) writeFileSync(file, config)
    const common = ['--bind', '127.0.0.1', '--dir', folder, '--loglevel', 'warning']
    const argv =
      config === undefined ? ['--port', String(port), ...settings, ...common] : [file, ...settings, ...common]
    const child = spawnBound(['redis-server', ...argv], ['ignore', 'ignore', 'pipe'])
    this.#children.set(port, child)
    const stderr = collectStderr(child)
    const answers = async () => {
      if (child.exitCode !== null) throw new LabError(`redis-server ended with status ${child.exitCode}: ${stderr()}`)
      return (await ask(port, 'PING').catch(() => '')).startsWith('PONG')
    }
    await waitUntil(answers, { what: () => `no redis-server answers at ${port}`, timeoutMs: READY_WITHIN_MS })
  }

  /** Undefined for one that does not run. */
  async roleOf(port: number): Promise<string | undefined> {
    return (await ask(port, 'ROLE').catch(() => undefined))?.split('\n')[0]
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
}

/** Ports that nobody listens at now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
