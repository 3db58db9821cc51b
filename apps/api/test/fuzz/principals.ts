import { bearerToken, badToken } from '../../src/auth/bearer-token.ts'
import { type Principal, scope, type Scope } from '../../src/auth/principal.ts'

/** Somebody who asks. */
export interface FuzzPrincipal {
  readonly name: string
  /** Sent with each of their requests. */
  readonly headers: Readonly<Record<string, string>>
  /** Who that is; undefined for who is nobody. */
  readonly principal: Principal | undefined
}

function known(name: string, tenant: string | null, scopes: readonly Scope[]): FuzzPrincipal {
  const principal = { id: `key:${name}`, tenant, scopes: new Set(scopes) }
  return { name, headers: { authorization: `Bearer token-of-${name}` }, principal }
}

/** Who the fuzz asks as, in turns. */
export const principals: readonly FuzzPrincipal[] = [
  known('acme', 'acme', scope.options),
  known('other', 'other', scope.options),
  known('operator', null, ['admin']),
  known('reader', 'acme', ['dumps:read']),
  { name: 'nobody', headers: {}, principal: undefined },
]

/** Tells who of them has sent a request. */
export async function authenticateFuzz(authorization: string | undefined): Promise<Principal> {
  const token = bearerToken(authorization)
  const found = principals.find(({ name }) => token === `token-of-${name}`)?.principal
  if (!found) throw badToken('nobody here has this token')
  return found
}

/** Whether who asks may get to see what belongs to `owner`. */
export function maySee({ principal }: FuzzPrincipal, owner: string | null): boolean {
  return principal !== undefined && (principal.tenant === null || principal.tenant === owner)
}
