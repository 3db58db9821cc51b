import { badToken, bearerToken } from './bearer-token.ts'
import type { JwtTokens } from './jwt-tokens.ts'
import type { Principal } from './principal.ts'
import { hashOfKey, isStaticKey, type StaticKeys } from './static-keys.ts'

/** Who sent a request with this Authorization header. Throws ApiProblem UNAUTHENTICATED or AUTH_UNREACHABLE. */
export type Authenticate = (authorization: string | undefined) => Promise<Principal>

export interface AuthenticateOptions {
  readonly keys?: { current(): StaticKeys } | undefined
  readonly jwt?: Pick<JwtTokens, 'principal'> | undefined
}

/** By static keys, by JWTs, or by both; which one a token is can be seen. */
export function authenticateBy({ keys, jwt }: AuthenticateOptions): Authenticate {
  return async (authorization) => {
    const token = bearerToken(authorization)
    const principal = isStaticKey(token) ? keys?.current().get(hashOfKey(token)) : await jwt?.principal(token)
    if (!principal) throw badToken('the token is not one that is accepted here')
    return principal
  }
}
