import { z } from 'zod'

/** Where Redis is, in the words of a client's options. */
export type RedisAddress =
  | { readonly path: string; readonly db: number }
  | {
      readonly host: string
      readonly port: number
      readonly db: number
      readonly username?: string
      readonly password?: string
      readonly tls?: Record<string, never>
    }

const EXPECTED = 'expected redis://host:port/db, rediss://host:port/db or unix:///path/of/the.sock'

/**
 * Reads `redis://[[user]:password@]host[:port][/db]`, `rediss://…` and `unix:///path[?db=n]`. Errors never repeat the
 * address, which may hold a password.
 */
export const redisAddress = z.string().transform((text, context): RedisAddress => {
  const found = URL.canParse(text) ? toAddress(new URL(text)) : undefined
  if (found) return found
  context.addIssue({ code: 'custom', message: EXPECTED })
  return z.NEVER
})

function toAddress(url: URL): RedisAddress | undefined {
  if (url.protocol === 'unix:') {
    const db = databaseOf(url.searchParams.get('db') ?? '')
    const path = decode(url.pathname)
    return db === undefined || url.host !== '' || !path || path.length < 2 ? undefined : { path, db }
  }
  const db = databaseOf(url.pathname.slice(1))
  const username = decode(url.username)
  const password = decode(url.password)
  if ((url.protocol !== 'redis:' && url.protocol !== 'rediss:') || !url.hostname || db === undefined) return undefined
  if (username === undefined || password === undefined) return undefined
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port ? Number(url.port) : 6379,
    db,
    ...(username && { username }),
    ...(password && { password }),
    ...(url.protocol === 'rediss:' && { tls: {} }),
  }
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
