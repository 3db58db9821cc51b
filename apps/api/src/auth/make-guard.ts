import type { FastifyBaseLogger } from 'fastify'
import { type ApiConfig, ApiConfigError } from '../api-config.ts'
import { parseTenants, type TenantQuota } from '../tenant-quota.ts'
import { AuditLog } from './audit-log.ts'
import { isLoopback } from './auth-config.ts'
import { authenticateBy } from './authenticate.ts'
import type { Guard } from './guard-routes.ts'
import { JwtTokens } from './jwt-tokens.ts'
import { ReloadedFile } from './reloaded-file.ts'
import { parseKeys } from './static-keys.ts'

/** The guard that the settings ask for. Throws ApiConfigError when a file they name cannot be used. */
export function makeGuard({ auth, listen }: ApiConfig, audit: AuditLog | undefined, log: FastifyBaseLogger): Guard {
  const { keysFile, jwt, perMinute, openPerMinute } = auth
  const always = { perMinute, openPerMinute, ...(audit && { audit }) }
  if (keysFile === undefined && jwt === undefined) {
    // Else a page in somebody's browser could ask, under a name that it has resolved to this address.
    return 'path' in listen ? always : { ...always, knowsHost: isLoopback }
  }
  const keys = keysFile === undefined ? undefined : readFile('ULLAGE_AUTH_KEYS_FILE', keysFile, parseKeys, log)
  return { ...always, authenticate: authenticateBy({ keys, jwt: jwt && new JwtTokens(jwt) }) }
}

/** The audit log, when the settings ask for one. Throws ApiConfigError when its file cannot be used. */
export function openAuditLog({ auth: { auditFile } }: ApiConfig): AuditLog | undefined {
  return auditFile === undefined ? undefined : usable('ULLAGE_AUDIT_FILE', () => new AuditLog(auditFile))
}

/** What each tenant may have, by the settings and the file they name, which is read again when it changes. */
export function makeQuotas({ auth }: ApiConfig, log: FastifyBaseLogger): (tenant: string) => TenantQuota {
  const { tenantsFile, tenantDefaults } = auth
  const named = tenantsFile === undefined ? undefined : readFile('ULLAGE_TENANTS_FILE', tenantsFile, parseTenants, log)
  return (tenant) => ({ ...tenantDefaults, ...named?.current().get(tenant) })
}

function readFile<T>(setting: string, path: string, parse: (text: string) => T, log: FastifyBaseLogger) {
  const isPrivate = setting === 'ULLAGE_AUTH_KEYS_FILE'
  return usable(setting, () => new ReloadedFile({ path, parse, isPrivate, log }))
}

function usable<T>(setting: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ApiConfigError(`${setting}: expected a file that can be used: ${reason}`, { cause: error })
  }
}
