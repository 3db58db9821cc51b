import type { FastifyRequest } from 'fastify'
import type { ZodInstance } from '../api-parts.ts'
import type { Journal } from '../journal.ts'
import { ApiProblem } from '../problem.ts'
import type { AuditSink } from './audit-log.ts'
import { auditRequests } from './audit-requests.ts'
import type { Authenticate } from './authenticate.ts'
import { documentAccess } from './document-access.ts'
import { hideForeignDumps } from './hide-foreign-dumps.ts'
import { limitRate, type RateLimits } from './limit-rate.ts'
import { anonymous, isOfAllTenants, mayDo, nobody, type Principal } from './principal.ts'
import { type Access, accessOf } from './route-access.ts'
import { tellTenants } from './tell-tenants.ts'
import { watchAccessOf } from './watch-access.ts'

export interface Guard extends RateLimits {
  /** Who asks. Left out, nobody is asked, and everybody may do everything. */
  readonly authenticate?: Authenticate
  /** Whether a Host header names this API; left out, any does. */
  readonly knowsHost?: (name: string) => boolean
  /** Where decisions are written down. */
  readonly audit?: AuditSink
  /** How often it is looked whether who follows or downloads still may, in milliseconds. */
  readonly lookEveryMs?: number
}

/** Stands before every route: who asks, and whether they may. To be called before there are routes. */
export async function guardRoutes(app: ZodInstance, guard: Guard, journal: Journal): Promise<void> {
  const { authenticate = allIn, knowsHost, audit, lookEveryMs } = guard
  const limit = await limitRate(app, guard)
  documentAccess(app)
  app.decorateRequest('principal')
  app.decorateRequest('watchAccess')
  app.addHook('onRequest', async (request) => {
    request.principal = nobody
    const host = hostOf(request)
    if (knowsHost?.(host) === false) {
      throw new ApiProblem('REQUEST_INVALID', `expected a Host that is a loopback address, found ${host || 'none'}`)
    }
    const access = accessOf(request.method, request.routeOptions.url ?? '')
    if (access === 'open') return limit.open(request)
    // What there is no route for tells nobody anything.
    if (access === undefined) return limit.unknown(request)
    request.principal = await authenticate(request.headers.authorization).catch(async (error: unknown) => {
      await limit.unknown(request)
      throw error
    })
    await limit.known(request)
    requireScope(request.principal, access)
    const { principal } = request
    request.watchAccess = watchAccessOf(request, { authenticate, principal, needed: access, lookEveryMs })
  })
  hideForeignDumps(app, journal)
  tellTenants(app)
  if (audit) auditRequests(app, audit)
}

/** The name in Host, without a port. Whatever a proxy forwards as another one, a page in a browser may have set as well. */
function hostOf({ headers: { host = '' } }: FastifyRequest): string {
  return host.replace(/:\d*$/, '')
}

async function allIn(): Promise<Principal> {
  return anonymous
}

function requireScope(principal: Principal, needed: Exclude<Access, 'open'>): void {
  if (mayDo(principal, needed)) return
  const scope = needed === 'fleet' ? 'admin' : needed
  const found = [...principal.scopes].join(' ') || 'none'
  const ofNoTenant = isOfAllTenants(needed) ? ', of no tenant' : ''
  throw new ApiProblem('FORBIDDEN', `expected the scope ${scope}${ofNoTenant}, found ${found}`, {
    headers: { 'www-authenticate': `Bearer realm="ullage", error="insufficient_scope", scope="${scope}"` },
  })
}
