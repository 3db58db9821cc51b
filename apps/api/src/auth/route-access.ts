import type { Scope } from './principal.ts'

/** `open`: to all. A scope: to who has it. `fleet`: to an admin of no tenant, since it tells of all of them. */
export type Access = 'open' | 'fleet' | Scope

/** Who may use which route: every route there is, and no other is served. HEAD is as GET. */
export const routeAccess: Readonly<Record<string, Access>> = {
  'POST /v1/dumps': 'dumps:write',
  'GET /v1/dumps': 'dumps:read',
  'GET /v1/dumps/:id': 'dumps:read',
  'DELETE /v1/dumps/:id': 'dumps:write',
  'GET /v1/dumps/:id/events': 'dumps:read',
  'GET /v1/dumps/:id/artifact': 'dumps:read',
  'GET /v1/dumps/:id/report': 'dumps:read',
  'GET /v1/guests': 'guests:read',
  'GET /v1/guests/:id': 'guests:read',
  'GET /v1/guests/:id/pages': 'guests:read',
  'GET /v1/hosts': 'guests:read',
  'PUT /v1/hosts/:id/drain': 'fleet',
  'DELETE /v1/hosts/:id/drain': 'fleet',
  'GET /metrics': 'metrics:read',
  'GET /healthz': 'open',
  'GET /readyz': 'open',
  'GET /openapi.json': 'open',
  'GET /docs': 'open',
}

/** Where the board of queues is, when it is on. */
export const queueBoardPrefix = '/admin/queues'

/** Routes that a plugin names, and may name differently in its next version: one rule for all of them, and for reading only. */
function isOfQueueBoard(method: string, url: string): boolean {
  return method === 'GET' && (url === queueBoardPrefix || url.startsWith(`${queueBoardPrefix}/`))
}

/** Who may use this route; undefined when the table does not have it. */
export function accessOf(method: string, url: string): Access | undefined {
  const asked = method === 'HEAD' ? 'GET' : method
  if (isOfQueueBoard(asked, url)) return 'fleet'
  const key = `${asked} ${url}`
  return Object.hasOwn(routeAccess, key) ? routeAccess[key] : undefined
}
