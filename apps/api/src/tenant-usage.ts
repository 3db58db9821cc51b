import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { TenantUsage } from './tenant-quota.ts'

const usageRow = z.object({ active: z.int(), bytes: z.int() })

/** What a tenant has, by the journal's dumps. */
export function tenantUsage(database: DatabaseSync, tenant: string): TenantUsage {
  const found = database
    .prepare(
      `SELECT
         (SELECT count(*) FROM dumps WHERE tenant = :tenant AND state IN ('queued', 'running')) AS active,
         (SELECT ifnull(sum(json_extract(result, '$.artifact.bytes')), 0) FROM dumps
           WHERE tenant = :tenant AND state = 'succeeded' AND json_extract(result, '$.expiredAt') IS NULL) AS bytes`,
    )
    .get({ tenant })
  const { active, bytes } = usageRow.parse(found)
  return { activeDumps: active, storedBytes: bytes }
}
