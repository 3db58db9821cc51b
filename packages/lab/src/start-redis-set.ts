import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { freePorts, READY_WITHIN_MS, type RedisSecurity, RedisServers } from './redis-servers.ts'
import { waitUntil } from './wait-until.ts'

const run = promisify(execFile)
/** What the Sentinels call their master. */
const MASTER_NAME = 'ullage'

/** redis-servers that stand for one, on ports of 127.0.0.1. They die with this process, and their files with it. */
export interface LabRedisSet extends AsyncDisposable {
  /** As ULLAGE_REDIS_URL has it, with user and passwords where they are asked for. */
  readonly url: string
  /** Ports of the masters there are now. */
  masters(): Promise<number[]>
  /** Ends the server at this port with SIGKILL. */
  kill(port: number): Promise<void>
  /** What redis-cli prints for a command to the server at this port. */
  ask(port: number, ...command: string[]): Promise<string>
}

/** One server on a port, which is what a network offers; `startRedis` is the one on a socket. */
export async function startRedisServer(security?: RedisSecurity): Promise<LabRedisSet> {
  await using cleanup = new AsyncDisposableStack()
  const servers = cleanup.use(new RedisServers(security))
  const [port = 0] = await freePorts(1)
  await servers.start(port)
  const url = `${schemeOf('redis', security)}127.0.0.1:${port}`
  return setOf(servers, cleanup.move(), { url, masters: async () => [port] })
}

/** One master, one replica, and three Sentinels that put the replica in its place when it is gone for 2 s. */
export async function startRedisSentinels(security?: RedisSecurity): Promise<LabRedisSet> {
  await using cleanup = new AsyncDisposableStack()
  const servers = cleanup.use(new RedisServers(security))
  const [master = 0, replica = 0, ...sentinels] = await freePorts(5)
  await servers.start(master)
  await servers.start(replica, [`replicaof 127.0.0.1 ${master}`])
  await untilTheyFollow(servers, [replica])
  for (const port of sentinels) await servers.startSentinel(port, MASTER_NAME, master)
  const agreed = async (port: number) => {
    const known = await servers.ask(port, 'SENTINEL', 'master', MASTER_NAME)
    return /num-other-sentinels\n2\n/.test(known) && /num-slaves\n1\n/.test(known)
  }
  await waitUntil(async () => (await Promise.all(sentinels.map(agreed))).every(Boolean), {
    what: () => 'the Sentinels do not know of each other',
    timeoutMs: READY_WITHIN_MS,
  })
  const nodes = sentinels.map((port) => `127.0.0.1:${port}`).join(',')
  const query = security ? `?sentinel-password=${encodeURIComponent(security.sentinelPassword)}` : ''
  return setOf(servers, cleanup.move(), {
    url: `${schemeOf('redis+sentinel', security)}${nodes}/${MASTER_NAME}${query}`,
    async masters() {
      const told = await servers.ask(sentinels[0] ?? 0, 'SENTINEL', 'get-master-addr-by-name', MASTER_NAME)
      return [Number(told.split('\n')[1])]
    },
  })
}

export interface RedisClusterOptions {
  /** One more server for each master, which takes its place when it is gone. */
  readonly replicas?: boolean
  readonly security?: RedisSecurity
}

/** A Cluster of three masters. */
export async function startRedisCluster({ replicas, security }: RedisClusterOptions = {}): Promise<LabRedisSet> {
  await using cleanup = new AsyncDisposableStack()
  const servers = cleanup.use(new RedisServers(security))
  const ports = await freePorts(replicas ? 12 : 6)
  const nodes = ports.slice(ports.length / 2)
  for (const [index, port] of nodes.entries()) {
    const bus = ['cluster-enabled yes', `cluster-port ${ports[index]}`, 'cluster-node-timeout 2000']
    await servers.start(port, ['appendonly yes', ...bus, ...(security ? ['tls-cluster yes'] : [])])
  }
  const addresses = nodes.map((port) => `127.0.0.1:${port}`)
  const create = ['--cluster', 'create', ...addresses, '--cluster-replicas', replicas ? '1' : '0', '--cluster-yes']
  await run('redis-cli', [...servers.cliOptions(nodes[0] ?? 0), ...create], { timeout: READY_WITHIN_MS })
  const healthy = async (port: number) => /cluster_state:ok/.test(await servers.ask(port, 'CLUSTER', 'INFO'))
  await waitUntil(async () => (await Promise.all(nodes.map(healthy))).every(Boolean), {
    what: () => 'the cluster does not become whole',
    timeoutMs: READY_WITHIN_MS,
  })
  const withRole = async (role: 'master' | 'slave') => {
    const roles = await Promise.all(nodes.map(async (port) => [port, await servers.roleOf(port)] as const))
    return roles.filter(([, found]) => found === role).map(([port]) => port)
  }
  await untilTheyFollow(servers, await withRole('slave'))
  return setOf(servers, cleanup.move(), {
    url: `${schemeOf('redis+cluster', security)}${addresses.join(',')}`,
    masters: async () => withRole('master'),
  })
}

/** One that has not yet copied its master does not take its place. */
async function untilTheyFollow(servers: RedisServers, replicas: readonly number[]): Promise<void> {
  const follows = async (port: number) => /master_link_status:up/.test(await servers.ask(port, 'INFO', 'replication'))
  await waitUntil(async () => (await Promise.all(replicas.map(follows))).every(Boolean), {
    what: () => `the replicas at ${replicas.join(', ')} do not all follow their masters`,
    timeoutMs: READY_WITHIN_MS,
  })
}

/** The beginning of an address, up to its hosts. */
function schemeOf(scheme: string, security: RedisSecurity | undefined): string {
  if (!security) return `${scheme}://`
  return `${scheme.replace('redis', 'rediss')}://${security.user}:${encodeURIComponent(security.password)}@`
}

function setOf(
  servers: RedisServers,
  resources: AsyncDisposableStack,
  told: Pick<LabRedisSet, 'url' | 'masters'>,
): LabRedisSet {
  return {
    ...told,
    kill: (port) => servers.kill(port),
    ask: (port, ...command) => servers.ask(port, ...command),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}
