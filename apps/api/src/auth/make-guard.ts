import type { FastifyBaseLogger } from 'fastify'
import { type ApiConfig, ApiConfigError } from '../api-config.ts'
import { authenticateBy } from './authenticate.ts'
import type { Guard } from './guard-routes.ts'
import { JwtTokens } from './jwt-tokens.ts'
import { ReloadedFile } from './reloaded-file.ts'
import { parseKeys } from './static-keys.ts'

/** The guard that the settings ask for. Throws ApiConfigError when a file they name cannot be used. */
export function makeGuard({ auth }: ApiConfig, log: FastifyBaseLogger): Guard {
  const { keysFile, jwt } = auth
  if (keysFile === undefined && jwt === undefined) return {}
  const keys = keysFile === undefined ? undefined : readFile('ULLAGE_AUTH_KEYS_FILE', keysFile, parseKeys, log)
  return { authenticate: authenticateBy({ keys, jwt: jwt && new JwtTokens(jwt) }) }
}

function readFile<T>(setting: string, path: string, parse: (text: string) => T, log: FastifyBaseLogger) {
  try {
    return new ReloadedFile({ path, parse, isPrivate: true, log })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ApiConfigError(`${setting}: expected a file that can be used: ${reason}`, { cause: error })
  }
}
