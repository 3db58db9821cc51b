import type { FastifySchema } from 'fastify'
import type { ZodInstance } from '../api-parts.ts'
import { addRefusals } from '../answers.ts'
import { isChange } from './is-change.ts'
import { isOfAllTenants } from './principal.ts'
import { accessOf, type Access } from './route-access.ts'

/**
 * Refuses routes of which nobody said who may use them, and writes into the others' documentation what is asked for. To be
 * called before there are routes.
 */
export function documentAccess(app: ZodInstance): void {
  app.addHook('onRoute', (route) => {
    if (route.config?.refusesMethod === true) return
    for (const method of [route.method].flat()) {
      const access = accessOf(method, route.url)
      if (access === undefined) {
        throw new Error(`expected ${method} ${route.url} in the table of who may use which route, found no such row`)
      }
      if (route.schema) route.schema = documented(route.schema, access, method)
    }
  })
}

const REFUSALS = ['UNAUTHENTICATED', 'FORBIDDEN', 'RATE_LIMITED', 'AUTH_UNREACHABLE'] as const

function documented(schema: FastifySchema, access: Access, method: string): FastifySchema {
  if (schema.security || schema.hide) return schema
  if (access === 'open') return { ...schema, response: addRefusals(schema.response, 'RATE_LIMITED') }
  const needed = `${access === 'fleet' ? 'admin' : access}${isOfAllTenants(access) ? ', of no tenant' : ''}`
  return {
    ...schema,
    description: `${schema.description ? `${schema.description} ` : ''}Scope: ${needed}.`,
    security: [{ bearer: [access === 'fleet' ? 'admin' : access] }],
    response: addRefusals(schema.response, ...REFUSALS, ...(isChange(method) ? (['AUDIT_UNWRITABLE'] as const) : [])),
  }
}
