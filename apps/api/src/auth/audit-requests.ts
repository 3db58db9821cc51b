import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ZodInstance } from '../api-parts.ts'
import { ApiProblem } from '../problem.ts'
import type { AuditEntry, AuditSink } from './audit-log.ts'
import { isChange } from './is-change.ts'
import { nobody } from './principal.ts'
import { accessOf } from './route-access.ts'

/**
 * Writes down what is decided of every request to a route that is not open to all. That a change is allowed is on the disk
 * before it is made; when it cannot be written, the change is not made and the answer is AUDIT_UNWRITABLE. What only reads is
 * written while it is answered. To be called after what decides.
 */
export function auditRequests(app: ZodInstance, audit: AuditSink): void {
  const writeLater = (request: FastifyRequest, entry: Partial<AuditEntry>) => {
    audit.write(entryOf(request, entry)).catch((error: unknown) => {
      request.log.error({ err: error }, 'a decision could not be written to the audit log')
    })
  }

  app.addHook('preHandler', async (request) => {
    if (!isAudited(request)) return
    if (!isChange(request.method)) return writeLater(request, { outcome: 'allowed' })
    try {
      await audit.write(entryOf(request, { outcome: 'allowed' }))
    } catch (error) {
      throw new ApiProblem('AUDIT_UNWRITABLE', 'nothing is changed that cannot be written to the audit log', {
        cause: error,
      })
    }
  })

  app.addHook('onSend', async (request, reply) => {
    if (!isAudited(request)) return
    const { statusCode, problemCode: code } = reply
    // A flood must not fill the disk; metrics count it.
    if (code === 'RATE_LIMITED') return
    if (statusCode >= 400) writeLater(request, { outcome: statusCode < 500 ? 'refused' : 'failed', code: code ?? null })
    else if (isChange(request.method)) writeLater(request, { outcome: 'done', ...madeBy(reply) })
  })
}

function isAudited({ method, routeOptions }: FastifyRequest): boolean {
  const access = accessOf(method, routeOptions.url ?? '')
  return access !== undefined && access !== 'open'
}

function entryOf(request: FastifyRequest, entry: Partial<AuditEntry>): AuditEntry {
  const { principal, method, routeOptions, id, ip } = request
  return {
    principal: principal === nobody ? null : principal.id,
    tenant: principal === nobody ? null : principal.tenant,
    action: `${method} ${routeOptions.url}`,
    resource: resourceOf(request),
    outcome: 'allowed',
    code: null,
    request: id,
    address: ip || null,
    ...entry,
  }
}

/** What is asked for, as the route's address or the body names it. */
function resourceOf({ routeOptions: { url = '' }, params, body }: FastifyRequest): string | null {
  const id = memberOf(params, 'id')
  const kind = /^\/v1\/([a-z]+)s\/:id/.exec(url)?.[1]
  if (id !== undefined && kind) return `${kind}:${id}`
  const guest = memberOf(body, 'guest')
  return guest === undefined ? null : `guest:${guest}`
}

/** What a change has made, as the answer names it. */
function madeBy(reply: FastifyReply): Partial<AuditEntry> {
  const id = /^\/v1\/dumps\/([^/]+)$/.exec(String(reply.getHeader('location') ?? ''))?.[1]
  return id === undefined ? {} : { resource: `dump:${id}` }
}

/** At most this much of what a client sent, in characters. */
const MOST_CHARACTERS = 200

function memberOf(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  const found: unknown = Reflect.get(value, name)
  return typeof found === 'string' ? found.slice(0, MOST_CHARACTERS) : undefined
}
