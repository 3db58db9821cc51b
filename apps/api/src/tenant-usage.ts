import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { TenantUsage } from './tenant-quota.ts'

const usageRow = z.object({ active: z.int(), bytes: z.int() })

/** What a tenant has, by totals that the database keeps: counting its dumps would take longer the more there are. */
export function tenantUsage(database: DatabaseSync, tenant: string): TenantUsage {
  const found = database
    .prepare(
      `SELECT ifnull(sum(dumps) FILTER (WHERE state IN ('queued', 'running')), 0) AS active,
         ifnull(sum(kept_bytes), 0) AS bytes FROM dump_totals WHERE tenant = :tenant`,
    )
    .get({ tenant })
  const { active, bytes } = usageRow.parse(found)
  return { activeDumps: active, storedBytes: bytes }
}
