import { toldToTenant } from '@ullage/dump-job'
import type { ZodInstance } from '../api-parts.ts'
import type { Principal } from './principal.ts'
import { accessOf } from './route-access.ts'

/**
 * Whatever a host said, in answers of every route, present and future, is told to a tenant without what names a place there; to
 * an admin of no tenant as it is. Streams write past this: they ask `told` themselves.
 */
export function tellTenants(app: ZodInstance): void {
  app.addHook('preSerialization', async ({ principal, method, routeOptions }, _reply, payload) => {
    // What is open to all has no word of a host.
    return accessOf(method, routeOptions.url ?? '') === 'open' ? payload : told(principal, payload)
  })
}

/** An answer as the principal is told it. */
export function told<T>(principal: Principal | undefined, answer: T): T {
  if (principal?.tenant === null) return answer
  // What is left out of a text leaves the answer's form as it was.
  const seen = toldToTenant(answer) as T
  return isOfFailure(answer) && isOfFailure(seen) && answer.detail === answer.failure.message
    ? { ...seen, detail: seen.failure.message }
    : seen
}

interface OfFailure {
  readonly detail: string
  readonly failure: { readonly message: string }
}

/** Whether it is a problem that has a host's failure: its detail may be that failure's message. */
function isOfFailure(value: unknown): value is OfFailure {
  if (typeof value !== 'object' || value === null || !('detail' in value) || !('failure' in value)) return false
  const { failure } = value
  return typeof failure === 'object' && failure !== null && 'message' in failure
}
