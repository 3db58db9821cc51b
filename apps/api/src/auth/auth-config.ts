import { resolve } from 'node:path'
import { z } from 'zod'
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
  ULLAGE_AUTH_TENANT_CLAIM: z.string().min(1).max(200).default('tenant'),
}
const settings = z.object(authSettings)

export interface AuthConfig {
  readonly keysFile: string | undefined
  readonly jwt: JwtSettings | undefined
}

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
  return {
    keysFile: data.ULLAGE_AUTH_KEYS_FILE,
    jwt: url && issuer && audience ? { jwksUrl: url, issuer, audience, tenantClaim } : undefined,
  }
}

/** Whether only processes of this host reach a host of this name: `127.0.0.0/8`, `::1`, `localhost`. */
export function isLoopback(host: string): boolean {
  return /^(127(\.\d{1,3}){3}|\[?::1\]?|localhost)$/.test(host)
}
