import { resolve } from 'node:path'
import { readStoreConfig, StoreConfigError } from '@ullage/artifact-store'
import { decimalSetting, redisAddress, wholeNumberSetting } from '@ullage/dump-job'
import { tracesEndpoint } from '@ullage/traces'
import { z } from 'zod'
import { authSettings, isLoopback, readAuthConfig } from './auth/auth-config.ts'
import { readTlsConfig, tlsSettings } from './tls-config.ts'
import { trustedProxies } from './trusted-proxies.ts'

const folder = z
  .string()
  .min(1, 'expected the path of a folder')
  .transform((path) => resolve(path))

const DAY_MS = 86_400_000
const FORGET_DAYS = 365

export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string }

const LISTEN = 'expected HOST:PORT, such as 127.0.0.1:7070 or [::1]:7070, or unix:/path/of/the.sock'

/** Where to listen: `host:port`, `[v6]:port`, or `unix:/path`. Port 0 takes a free one. */
const listenAddress = z.string().transform((text, context): ListenAddress => {
  const path = /^unix:(\/.+)$/.exec(text)?.[1]
  if (path) return { path }
  const [, v6, name, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? name
  if (host && Number(port) <= 65_535) return { host, port: Number(port) }
  context.addIssue({ code: 'custom', message: LISTEN })
  return z.NEVER
})

const environment = z.object({
  ULLAGE_REDIS_URL: redisAddress,
  ULLAGE_STATE_DIR: folder,
  ULLAGE_RETENTION_DAYS: decimalSetting({ least: 0.001, most: 36_500 }).optional(),
  ULLAGE_RETENTION_MAX_BYTES: wholeNumberSetting({ least: 1, most: Number.MAX_SAFE_INTEGER }).optional(),
  ULLAGE_FORGET_DUMPS_DAYS: decimalSetting({ least: 0, most: 36_500 }).default(FORGET_DAYS),
  ULLAGE_API_LISTEN: listenAddress.default({ host: '127.0.0.1', port: 7070 }),
  ULLAGE_TRUSTED_PROXIES: trustedProxies.optional(),
  ...authSettings,
  ...tlsSettings,
  ULLAGE_BULL_BOARD: z.enum(['on', 'off']).default('off'),
  OTEL_EXPORTER_OTLP_ENDPOINT: tracesEndpoint.optional(),
  ULLAGE_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
})

/** Settings that are missing or wrong: the message has a line for each. */
export class ApiConfigError extends Error {
  override readonly name = 'ApiConfigError'
}

export type ApiConfig = ReturnType<typeof readApiConfig>

/** Reads the settings. Throws ApiConfigError, which names each wrong variable and never repeats its value. */
export function readApiConfig(env: Readonly<Record<string, string | undefined>>) {
  const { data, error } = environment.safeParse(env)
  if (!data) {
    const lines = error.issues.map(({ path, message }) => {
      const name = String(path[0])
      return env[name] === undefined ? `${name} is not set; ${message}` : `${name}: ${message}`
    })
    throw new ApiConfigError(lines.join('\n'))
  }
  const wrong: string[] = []
  const complain = (name: string, message: string) => {
    wrong.push(env[name] === undefined ? `${name} is not set; ${message}` : `${name}: ${message}`)
  }
  const auth = readAuthConfig(data, complain)
  const tls = readTlsConfig(data, complain)
  const listen = data.ULLAGE_API_LISTEN
  const asksNobody = auth.keysFile === undefined && auth.jwt === undefined
  if (asksNobody && 'host' in listen && !isLoopback(listen.host)) {
    complain(
      'ULLAGE_API_LISTEN',
      'expected a loopback address or a unix socket, since nobody is asked who they are; ' +
        'to listen elsewhere set ULLAGE_AUTH_KEYS_FILE or ULLAGE_AUTH_JWKS_URL',
    )
  }
  if (wrong.length > 0) throw new ApiConfigError(wrong.join('\n'))
  return {
    redis: data.ULLAGE_REDIS_URL,
    /** Where workers publish dumps. The API reads what is there, and removes it when a client deletes a dump. */
    store: readStore(env),
    /** Where the journal of accepted dumps is. */
    stateDir: data.ULLAGE_STATE_DIR,
    /** Artifacts of dumps that finished longer ago are removed; undefined keeps them. */
    retentionMs: data.ULLAGE_RETENTION_DAYS === undefined ? undefined : data.ULLAGE_RETENTION_DAYS * DAY_MS,
    /** What all artifacts may take; undefined for no limit. */
    retentionMaxBytes: data.ULLAGE_RETENTION_MAX_BYTES,
    /** Records of dumps that ended, or whose artifact went, longer ago are removed; undefined keeps them. */
    forgetMs: data.ULLAGE_FORGET_DUMPS_DAYS === 0 ? undefined : data.ULLAGE_FORGET_DUMPS_DAYS * DAY_MS,
    listen,
    /** Whose word on who asks is believed; undefined: nobody's but the connection's. */
    trustsProxy: data.ULLAGE_TRUSTED_PROXIES,
    /** Who is let in; neither keys nor tokens: everybody. */
    auth,
    /** Certificate and key; undefined for plain HTTP. */
    tls,
    /** Whether there is a page that shows the queues. */
    bullBoard: data.ULLAGE_BULL_BOARD === 'on',
    /** Where spans are sent; undefined: there are none. */
    tracesEndpoint: data.OTEL_EXPORTER_OTLP_ENDPOINT,
    logLevel: data.ULLAGE_LOG_LEVEL,
  }
}

function readStore(env: Readonly<Record<string, string | undefined>>) {
  try {
    return readStoreConfig(env)
  } catch (error) {
    if (error instanceof StoreConfigError) throw new ApiConfigError(error.message, { cause: error })
    throw error
  }
}
