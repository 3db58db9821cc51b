import { z } from 'zod'

/** What a principal may be allowed to do. `admin` implies all others; `metrics:read` tells of all tenants, so it is for none. */
export const scope = z.enum(['dumps:write', 'dumps:read', 'guests:read', 'metrics:read', 'admin'])
export type Scope = z.infer<typeof scope>

/**
 * Who asks. One with a tenant sees what belongs to that tenant; one without has the scope `admin` and sees all, or `metrics:read`
 * alone and sees figures that name no tenant.
 */
export interface Principal {
  /** Such as `key:ci` or `jwt:alice`. */
  readonly id: string
  readonly tenant: string | null
  readonly scopes: ReadonlySet<Scope>
  /** When the token is no longer taken, in milliseconds since 1970; left out, it does not expire. */
  readonly expiresMs?: number
}

/** Who asks where nobody is asked who they are. */
export const anonymous: Principal = { id: 'anonymous', tenant: null, scopes: new Set(['admin']) }

/** Who asks until that is known: no tenant has this name. */
export const nobody: Principal = { id: 'nobody', tenant: '', scopes: new Set() }

/** Whether the principal may know that there is something that belongs to `owner`. */
export function sees({ tenant }: Principal, owner: string | null): boolean {
  return tenant === null || tenant === owner
}

/** Whether there may be a principal of no tenant with these scopes. */
export function needNoTenant(scopes: ReadonlySet<Scope>): boolean {
  return scopes.has('admin') || (scopes.size === 1 && scopes.has('metrics:read'))
}

/** Whether what asks for this concerns all tenants, so that a principal of one may not do it. */
export function isOfAllTenants(needed: Scope | 'fleet'): boolean {
  return needed === 'fleet' || needed === 'metrics:read'
}

/** Whether the principal may do what asks for `needed`; `fleet` is what an admin alone may, of all tenants. */
export function mayDo({ tenant, scopes }: Principal, needed: Scope | 'fleet'): boolean {
  if (isOfAllTenants(needed) && tenant !== null) return false
  if (needed === 'fleet') return scopes.has('admin')
  return scopes.has('admin') || scopes.has(needed)
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; `nobody` on routes that are open to all. */
    principal: Principal
  }
}
