import { resolve } from 'node:path'
import { wholeNumberSetting } from '@ullage/dump-job'
import { z } from 'zod'
import type { TenantQuota } from '../tenant-quota.ts'
import type { JwtSettings } from './jwt-tokens.ts'

const file = z
  .string()
  .min(1, 'expected the path of a file')
  .transform((path) => resolve(path))

/** Keys that come over a network nobody vouches for are anybody's. */
const jwksUrl = z
  .url('expected an https address')
  .transform((text) => new URL(text))
  .refine(
    ({ protocol, hostname }) => protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname)),
    'expected an https address; http is for a loopback address only',
  )
  .refine(({ username, password }) => !username && !password, 'expected an address without a user or password')

/** Settings that say who is let in. */
export const authSettings = {
  ULLAGE_AUTH_KEYS_FILE: file.optional(),
  ULLAGE_AUTH_JWKS_URL: jwksUrl.optional(),
  ULLAGE_AUTH_ISSUER: z.string().min(1).optional(),
  ULLAGE_AUTH_AUDIENCE: z.string().min(1).optional(),
  ULLAGE_RATE_LIMIT: wholeNumberSetting({ least: 0, most: 10_000_000 }).optional(),
  ULLAGE_OPEN_RATE_LIMIT: wholeNumberSetting({ least: 0, most: 10_000_000 }).optional(),
  ULLAGE_AUDIT_FILE: file.optional(),
  ULLAGE_TENANTS_FILE: file.optional(),
  ULLAGE_TENANT_DUMPS: wholeNumberSetting({ least: 0, most: Number.MAX_SAFE_INTEGER }).optional(),
  ULLAGE_TENANT_BYTES: wholeNumberSetting({ least: 0, most: Number.MAX_SAFE_INTEGER }).optional(),
  ULLAGE_AUTH_TENANT_CLAIM: z.string().min(1).max(200).default('tenant'),
}
const settings = z.object(authSettings)

export interface AuthConfig {
  readonly keysFile: string | undefined
  readonly jwt: JwtSettings | undefined
  /** Requests in a minute of one principal, or of one address where nobody is asked; undefined for any number. */
  readonly perMinute: number | undefined
  /** Requests in a minute of one address that is nobody; undefined for any number. */
  readonly openPerMinute: number | undefined
  /** Where decisions are written down. */
  readonly auditFile: string | undefined
  readonly tenantsFile: string | undefined
  /** Of tenants that the file does not name, or names without it. */
  readonly tenantDefaults: TenantQuota
}

/** Enough for a client that asks for the state of a hundred dumps each second. */
const RATE_WHERE_ASKED = 6_000
/** Enough for ten probes each second. */
const OPEN_RATE_WHERE_ASKED = 600

/** What the settings say together. `complain` is told of one that another one needs. */
export function readAuthConfig(
  data: z.output<typeof settings>,
  complain: (setting: string, message: string) => void,
): AuthConfig {
  const url = data.ULLAGE_AUTH_JWKS_URL
  const issuer = data.ULLAGE_AUTH_ISSUER
  const audience = data.ULLAGE_AUTH_AUDIENCE
  const some = url ?? issuer ?? audience
  if (some !== undefined) {
    for (const name of ['ULLAGE_AUTH_JWKS_URL', 'ULLAGE_AUTH_ISSUER', 'ULLAGE_AUTH_AUDIENCE'] as const) {
      if (data[name] === undefined) complain(name, 'tokens are checked by JWKS_URL, ISSUER and AUDIENCE together')
    }
  }
  const tenantClaim = data.ULLAGE_AUTH_TENANT_CLAIM
  const keysFile = data.ULLAGE_AUTH_KEYS_FILE
  const asksNobody = keysFile === undefined && some === undefined
  const rate = data.ULLAGE_RATE_LIMIT ?? (asksNobody ? 0 : RATE_WHERE_ASKED)
  const openRate = data.ULLAGE_OPEN_RATE_LIMIT ?? (asksNobody ? 0 : OPEN_RATE_WHERE_ASKED)
  const concurrentDumps = data.ULLAGE_TENANT_DUMPS
  const storedBytes = data.ULLAGE_TENANT_BYTES
  return {
    keysFile,
    jwt: url && issuer && audience ? { jwksUrl: url, issuer, audience, tenantClaim } : undefined,
    perMinute: rate === 0 ? undefined : rate,
    openPerMinute: openRate === 0 ? undefined : openRate,
    auditFile: data.ULLAGE_AUDIT_FILE,
    tenantsFile: data.ULLAGE_TENANTS_FILE,
    tenantDefaults: {
      ...(concurrentDumps !== undefined && { concurrentDumps }),
      ...(storedBytes !== undefined && { storedBytes }),
    },
  }
}

/** Whether only processes of this host reach a host of this name: `127.0.0.0/8`, `::1`, `localhost`. */
export function isLoopback(host: string): boolean {
  return /^(127(\.\d{1,3}){3}|\[?::1\]?|localhost)$/.test(host)
}
