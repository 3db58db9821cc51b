import type { FastifyBaseLogger } from 'fastify'
import { type ApiConfig, ApiConfigError } from '../api-config.ts'
import { parseTenants, type TenantQuota } from '../tenant-quota.ts'
import { authenticateBy } from './authenticate.ts'
import type { Guard } from './guard-routes.ts'
import { JwtTokens } from './jwt-tokens.ts'
import { ReloadedFile } from './reloaded-file.ts'
import { parseKeys } from './static-keys.ts'

/** The guard that the settings ask for. Throws ApiConfigError when a file they name cannot be used. */
export function makeGuard({ auth }: ApiConfig, log: FastifyBaseLogger): Guard {
  const { keysFile, jwt, perMinute } = auth
  const rate = perMinute === undefined ? {} : { perMinute }
  if (keysFile === undefined && jwt === undefined) return rate
  const keys = keysFile === undefined ? undefined : readFile('ULLAGE_AUTH_KEYS_FILE', keysFile, parseKeys, log)
  return { ...rate, authenticate: authenticateBy({ keys, jwt: jwt && new JwtTokens(jwt) }) }
}

/** What each tenant may have, by the settings and the file they name, which is read again when it changes. */
export function makeQuotas({ auth }: ApiConfig, log: FastifyBaseLogger): (tenant: string) => TenantQuota {
  const { tenantsFile, tenantDefaults } = auth
  const named = tenantsFile === undefined ? undefined : readFile('ULLAGE_TENANTS_FILE', tenantsFile, parseTenants, log)
  return (tenant) => ({ ...tenantDefaults, ...named?.current().get(tenant) })
}

function readFile<T>(setting: string, path: string, parse: (text: string) => T, log: FastifyBaseLogger) {
  try {
    return new ReloadedFile({ path, parse, isPrivate: setting === 'ULLAGE_AUTH_KEYS_FILE', log })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ApiConfigError(`${setting}: expected a file that can be used: ${reason}`, { cause: error })
  }
}
