import { z } from 'zod'

/** What a principal may be allowed to do. `admin` implies all others. */
export const scope = z.enum(['dumps:write', 'dumps:read', 'guests:read', 'admin'])
export type Scope = z.infer<typeof scope>

/** Who asks. One with a tenant sees what belongs to that tenant; one without has the scope `admin` and sees all. */
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

/** Whether the principal may do what asks for `needed`; `fleet` is what concerns all tenants. */
export function mayDo({ tenant, scopes }: Principal, needed: Scope | 'fleet'): boolean {
  if (needed === 'fleet') return tenant === null && scopes.has('admin')
  return scopes.has('admin') || scopes.has(needed)
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; `nobody` on routes that are open to all. */
    principal: Principal
  }
}
