import type { ZodInstance } from '../api-parts.ts'
import type { Journal } from '../journal.ts'
import { ApiProblem } from '../problem.ts'
import type { Authenticate } from './authenticate.ts'
import { documentAccess } from './document-access.ts'
import { hideForeignDumps } from './hide-foreign-dumps.ts'
import { anonymous, mayDo, nobody, type Principal } from './principal.ts'
import { type Access, accessOf } from './route-access.ts'

export interface Guard {
  /** Who asks. Left out, nobody is asked, and everybody may do everything. */
  readonly authenticate?: Authenticate
}

/** Stands before every route: who asks, and whether they may. To be called before there are routes. */
export function guardRoutes(app: ZodInstance, { authenticate = allIn }: Guard, journal: Journal): void {
  documentAccess(app)
  app.decorateRequest('principal')
  app.addHook('onRequest', async (request) => {
    request.principal = nobody
    const access = accessOf(request.method, request.routeOptions.url ?? '')
    // What there is no route for is answered by nothing that could tell anything.
    if (access === undefined || access === 'open') return
    request.principal = await authenticate(request.headers.authorization)
    requireScope(request.principal, access)
  })
  hideForeignDumps(app, journal)
}

async function allIn(): Promise<Principal> {
  return anonymous
}

function requireScope(principal: Principal, needed: Exclude<Access, 'open'>): void {
  if (mayDo(principal, needed)) return
  const scope = needed === 'fleet' ? 'admin' : needed
  const found = [...principal.scopes].join(' ') || 'none'
  const ofNoTenant = needed === 'fleet' ? ', of no tenant' : ''
  throw new ApiProblem('FORBIDDEN', `expected the scope ${scope}${ofNoTenant}, found ${found}`, {
    headers: { 'www-authenticate': `Bearer realm="ullage", error="insufficient_scope", scope="${scope}"` },
  })
}
