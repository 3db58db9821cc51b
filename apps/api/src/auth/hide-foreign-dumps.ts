import type { ZodInstance } from '../api-parts.ts'
import { dumpUnknown } from '../dump-unknown.ts'
import type { Journal } from '../journal.ts'

const OF_ONE_DUMP = /^\/v1\/dumps\/:id(\/|$)/

/** On every route of one dump, present and future: another tenant's dump is answered like one that is not there. */
export function hideForeignDumps(app: ZodInstance, journal: Journal): void {
  app.addHook('preHandler', async ({ principal, routeOptions, params }) => {
    if (principal.tenant === null || !OF_ONE_DUMP.test(routeOptions.url ?? '')) return
    // Checked by the route's schema, which comes first.
    const { id } = params as { id: string }
    if (!journal.isOf(principal.tenant, id)) throw dumpUnknown(id)
  })
}
