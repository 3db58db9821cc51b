import type { FleetHost } from '../fleet.ts'
import { type Principal, sees } from './principal.ts'

/** The hosts as the principal sees them: with its guests only, and without those that have none of them. */
export function visibleHosts(hosts: readonly FleetHost[], principal: Principal): readonly FleetHost[] {
  if (principal.tenant === null) return hosts
  return hosts
    .map((host) => ({ ...host, guests: host.guests.filter(({ tenant }) => sees(principal, tenant)) }))
    .filter(({ guests }) => guests.length > 0)
}
