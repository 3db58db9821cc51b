import type { FastifyRequest } from 'fastify'
import { anonymous } from './principal.ts'

/** Who asks, as counts tell askers apart: a principal of its tenant, or an address where nobody is asked who they are. */
export function askerOf({ principal, ip }: FastifyRequest): string {
  return principal === anonymous ? `address ${ip}` : `principal ${JSON.stringify([principal.tenant, principal.id])}`
}

/** The tenant of who asks, as counts tell tenants apart; undefined for who has none. */
export function tenantOf({ principal: { tenant } }: FastifyRequest): string | undefined {
  return tenant === null ? undefined : `tenant ${JSON.stringify(tenant)}`
}
