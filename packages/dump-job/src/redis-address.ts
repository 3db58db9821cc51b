import { z } from 'zod'

export interface RedisCredentials {
  readonly username?: string
  readonly password?: string
  /** Present for TLS. Certificates are checked against those that Node trusts. */
  readonly tls?: Record<string, never>
}

export interface RedisNode {
  host: string
  port: number
}

/** One Redis, or the one that Sentinels name: a client's options as they are. */
export type RedisServerAddress =
  | { readonly path: string; readonly db: number }
  | (RedisNode & RedisCredentials & { readonly db: number })
  | (RedisCredentials & {
      readonly sentinels: RedisNode[]
      /** What the Sentinels call the set of this master. */
      readonly name: string
      readonly db: number
      readonly sentinelUsername?: string
      readonly sentinelPassword?: string
      readonly enableTLSForSentinelMode?: true
      readonly sentinelTLS?: Record<string, never>
    })

/** Some nodes of a Redis Cluster; they tell of the others. */
export interface RedisClusterAddress extends RedisCredentials {
  readonly nodes: RedisNode[]
}

/** Where Redis is. `nodes` tells a Cluster from the rest. */
export type RedisAddress = RedisServerAddress | RedisClusterAddress

const EXPECTED =
  'expected redis://host:port/db, unix:///path/of/the.sock, redis+sentinel://host:port,host:port/name/db or ' +
  'redis+cluster://host:port,host:port (rediss for TLS)'
const REDIS_PORT = 6379
const SENTINEL_PORT = 26379

/**
 * Reads `redis://[[user]:password@]host[:port][/db]`, `unix:///path[?db=n]`,
 * `redis+sentinel://[[user]:password@]host[:port],…/name[/db][?sentinel-user=…&sentinel-password=…]` and
 * `redis+cluster://[[user]:password@]host[:port],…`; with `rediss` for TLS, to the Sentinels as well. Errors never repeat the
 * address, which may hold a password.
 */
export const redisAddress = z.string().transform((text, context): RedisAddress => {
  const found = toAddress(text)
  if (found) return found
  context.addIssue({ code: 'custom', message: EXPECTED })
  return z.NEVER
})

function toAddress(text: string): RedisAddress | undefined {
  const [, secure, kind, authority = '', rest = ''] =
    /^redis(s?)\+(sentinel|cluster):\/\/([^/?#]*)([^#]*)$/.exec(text) ?? []
  if (kind === undefined) return URL.canParse(text) ? toServer(new URL(text)) : undefined
  const at = authority.lastIndexOf('@')
  const credentials = toCredentials(authority.slice(0, Math.max(at, 0)), secure === 's')
  const list = authority.slice(at + 1)
  if (!credentials) return undefined
  if (kind === 'cluster') {
    const nodes = toNodes(list, REDIS_PORT)
    return nodes && (rest === '' || rest === '/') ? { nodes, ...credentials } : undefined
  }
  return toSentinels(toNodes(list, SENTINEL_PORT), new URL(rest, 'redis://sentinels'), credentials)
}

function toServer(url: URL): RedisAddress | undefined {
  if (url.protocol === 'unix:') {
    const db = databaseOf(url.searchParams.get('db') ?? '')
    const path = decode(url.pathname)
    return db === undefined || url.host !== '' || !path || path.length < 2 ? undefined : { path, db }
  }
  if ((url.protocol !== 'redis:' && url.protocol !== 'rediss:') || !url.hostname) return undefined
  const db = databaseOf(url.pathname.slice(1))
  const credentials = toCredentials(`${url.username}:${url.password}`, url.protocol === 'rediss:')
  if (db === undefined || !credentials) return undefined
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { host, port: url.port ? Number(url.port) : REDIS_PORT, db, ...credentials }
}

function toSentinels(
  sentinels: RedisNode[] | undefined,
  { pathname, searchParams }: URL,
  credentials: RedisCredentials,
): RedisAddress | undefined {
  const [, master, database] = /^\/([^/]+)(?:\/(\d*))?$/.exec(pathname) ?? []
  const name = decode(master ?? '')
  const db = databaseOf(database ?? '')
  if (!sentinels || !name || db === undefined) return undefined
  const sentinelUsername = searchParams.get('sentinel-user')
  const sentinelPassword = searchParams.get('sentinel-password')
  return {
    sentinels,
    name,
    db,
    ...credentials,
    ...(sentinelUsername && { sentinelUsername }),
    ...(sentinelPassword && { sentinelPassword }),
    ...(credentials.tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
  }
}

/** Undefined unless each part of the list is a host, with or without a port. */
function toNodes(list: string, defaultPort: number): RedisNode[] | undefined {
  const nodes = list.split(',').map((text) => {
    const [, v6, name, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? []
    const host = v6 ?? name
    const number = port === undefined ? defaultPort : Number(port)
    return host !== undefined && number > 0 && number <= 65_535 ? { host, port: number } : undefined
  })
  return nodes.includes(undefined) ? undefined : nodes.filter((node) => node !== undefined)
}

function toCredentials(userinfo: string, secure: boolean): RedisCredentials | undefined {
  const colon = userinfo.indexOf(':')
  const username = decode(colon === -1 ? userinfo : userinfo.slice(0, colon))
  const password = decode(colon === -1 ? '' : userinfo.slice(colon + 1))
  if (username === undefined || password === undefined) return undefined
  return { ...(username && { username }), ...(password && { password }), ...(secure && { tls: {} }) }
}

function databaseOf(text: string): number | undefined {
  if (text === '') return 0
  return /^\d{1,4}$/.test(text) ? Number(text) : undefined
}

/** Undefined when `text` is not percent-encoded UTF-8. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}
