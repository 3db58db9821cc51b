import { tenantId } from '@ullage/dump-job'
import { z } from 'zod'
import { ApiProblem } from './problem.ts'

/** What a tenant may have at the same time. What is left out has no limit. */
export const tenantQuota = z.strictObject({
  /** Dumps that are queued or running. */
  concurrentDumps: z.int().min(0).exactOptional(),
  /** Bytes of artifacts that are published and not yet deleted. */
  storedBytes: z.int().min(0).exactOptional(),
})
export type TenantQuota = z.infer<typeof tenantQuota>

/** Whether there is anything that it limits. */
export function isLimited({ concurrentDumps, storedBytes }: TenantQuota): boolean {
  return concurrentDumps !== undefined || storedBytes !== undefined
}

/** What a tenant has. */
export interface TenantUsage {
  readonly activeDumps: number
  readonly storedBytes: number
}

const tenantsFile = z.record(tenantId, tenantQuota)
export type TenantQuotas = ReadonlyMap<string, TenantQuota>

/** Reads the text of a tenants file: `{ "acme": { "concurrentDumps": 2, "storedBytes": 1000000000 } }`. */
export function parseTenants(text: string): TenantQuotas {
  return new Map(Object.entries(tenantsFile.parse(JSON.parse(text))))
}

/**
 * Throws ApiProblem QUOTA_EXCEEDED unless one more dump fits. How large it will be is not known yet: stored bytes are what
 * is there, so the last dump may go beyond them.
 */
export function requireWithin({ concurrentDumps, storedBytes }: TenantQuota, usage: TenantUsage): void {
  if (concurrentDumps !== undefined && usage.activeDumps >= concurrentDumps) {
    throw exceeded(`${usage.activeDumps} dumps are queued or running, ${concurrentDumps} may be`)
  }
  if (storedBytes !== undefined && usage.storedBytes >= storedBytes) {
    throw exceeded(`${usage.storedBytes} bytes are stored, and no dump begins from ${storedBytes} on`)
  }
}

function exceeded(detail: string): ApiProblem {
  return new ApiProblem('QUOTA_EXCEEDED', detail)
}
