import { randomUUID } from 'node:crypto'
import { dumpId, dumpRequest, dumpResource, dumpState, guestId, hostId, isFinished } from '@ullage/dump-job'
import { StoreError } from '@ullage/artifact-store'
import { z } from 'zod'
import { refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import { visibleHosts } from '../auth/visible-hosts.ts'
import { dumpUnknown } from '../dump-unknown.ts'
import { findGuest, requireReachable, requireUndrained } from '../fleet.ts'
import { fingerprintOf, idempotencyKey } from '../idempotency-keys.ts'
import type { DumpRecord } from '../dump-record.ts'
import type { Journal } from '../journal.ts'
import { ownerOf } from '../owner-of.ts'
import { cursorUnknown } from '../page-of.ts'
import { ApiProblem } from '../problem.ts'
import { earlierDump } from '../replay.ts'
import { isLimited, requireWithin, type TenantUsage } from '../tenant-quota.ts'
import { toResource } from '../to-resource.ts'

/** What any body can be refused for, also one that nobody asked for. */
const bodyRefusals = ['REQUEST_INVALID', 'BODY_TOO_LARGE', 'MEDIA_TYPE'] as const

export const dumpParams = z.strictObject({ id: dumpId })

const dumpList = z
  .object({
    items: z.array(dumpResource),
    next: z.string().nullable().describe('cursor of the next page; null on the last one'),
  })
  .meta({ id: 'DumpList' })

const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(100).optional().describe('"next" of the page before'),
  guest: guestId.optional(),
  host: hostId.optional(),
  state: dumpState.optional(),
  createdAfter: z.iso.datetime({ offset: true }).optional().describe('accepted then or later'),
  createdBefore: z.iso.datetime({ offset: true }).optional().describe('accepted before then'),
})

const postHeaders = z.looseObject({
  'idempotency-key': idempotencyKey
    .optional()
    .describe(
      'chosen by the client, new for each dump it wants. A request that is sent again with its key has no further effect ' +
        'for 24 hours: it gets the dump that the first one made, with Idempotent-Replayed: true',
    ),
})

/** The dump of this id. Throws ApiProblem DUMP_UNKNOWN. */
export function requireDump(journal: Journal, id: string): DumpRecord {
  const dump = journal.get(id)
  if (!dump) throw dumpUnknown(id)
  return dump
}

export function dumpRoutes(
  app: ZodInstance,
  { journal, queue, fleet, follow, published, quotaOf, traceparents }: ApiParts,
): void {
  app.post(
    '/v1/dumps',
    {
      schema: {
        summary: 'Ask for a dump of a guest',
        description: 'Returns as soon as the dump is written down; follow its events.',
        tags: ['dumps'],
        headers: postHeaders,
        body: dumpRequest,
        response: {
          202: dumpResource,
          ...refusals(
            ...bodyRefusals,
            'GUEST_UNKNOWN',
            'GUEST_AMBIGUOUS',
            'GUEST_UNUSABLE',
            'DUMP_ACTIVE',
            'QUOTA_EXCEEDED',
            'DUMP_REMOVED',
            'IDEMPOTENCY_MISMATCH',
            'IDEMPOTENCY_FULL',
            'HOST_UNREACHABLE',
            'HOST_DRAINING',
            'QUEUE_UNREACHABLE',
            'JOURNAL_UNWRITABLE',
          ),
        },
      },
    },
    async (request, reply) => {
      const { guest: id, ...options } = request.body
      const { principal } = request
      const key = request.headers['idempotency-key']
      const keyed =
        key === undefined ? undefined : { owner: ownerOf(request), key, fingerprint: fingerprintOf(request.body) }
      const replay = (dump: DumpRecord) =>
        reply
          .code(202)
          .headers({ location: toResource(dump).links.self, 'idempotent-replayed': 'true' })
          .send(toResource(dump))
      const earlier = keyed && earlierDump(journal, keyed)
      if (earlier) return replay(earlier)
      const guest = findGuest(visibleHosts(await fleet.hostsOf(id, principal.tenant), principal), id)
      requireReachable(guest)
      requireUndrained(guest)
      if (guest.problem) {
        const { problem: failure } = guest
        throw new ApiProblem('GUEST_UNUSABLE', failure.message, { members: { failure } })
      }
      // Again: the same request may have been accepted while the fleet was asked.
      const meanwhile = keyed && earlierDump(journal, keyed)
      if (meanwhile) return replay(meanwhile)
      const { host, tenant } = guest
      const asked = { id: randomUUID(), guest: id, host, options, tenant, requestedBy: principal.id }
      const quota = tenant === null ? undefined : quotaOf?.(tenant)
      const allow = quota && isLimited(quota) ? (usage: TenantUsage) => requireWithin(quota, usage) : undefined
      const { accepted, dump } = journal.accept(asked, { keyed, allow })
      const { links } = toResource(dump)
      if (!accepted) {
        throw new ApiProblem('DUMP_ACTIVE', `guest ${id} has dump ${dump.id}, which is ${dump.state}`, {
          members: { dump: links.self },
          headers: { link: `<${links.self}>; rel="related"` },
        })
      }
      request.log.info({ job: dump.id, guest: id, on: host, by: principal.id }, 'dump accepted')
      request.span?.set({ 'ullage.dump': dump.id, 'ullage.host': host, 'ullage.tenant': tenant ?? undefined })
      if (request.span) traceparents?.keep(dump.id, request.span.traceparent)
      // Accepted is accepted: when the queue does not answer now, the next sweep puts it there.
      await follow.look(dump.id)
      return reply
        .code(202)
        .header('location', links.self)
        .send(toResource(requireDump(journal, dump.id)))
    },
  )

  app.get(
    '/v1/dumps',
    {
      schema: {
        summary: 'List dumps, the latest first',
        tags: ['dumps'],
        querystring: listQuery,
        response: { 200: dumpList, ...refusals('REQUEST_INVALID') },
      },
    },
    async (request) => {
      const { limit, cursor, guest, host, state, createdAfter, createdBefore } = request.query
      const beforeSeq = cursor === undefined ? undefined : journal.cursors.open(cursor)
      if (cursor !== undefined && beforeSeq === undefined) throw cursorUnknown(cursor)
      const fromMs = createdAfter === undefined ? undefined : Date.parse(createdAfter)
      const beforeMs = createdBefore === undefined ? undefined : Date.parse(createdBefore)
      // One more than asked for tells whether there is another page.
      const tenant = request.principal.tenant ?? undefined
      const found = journal.list({ limit: limit + 1, beforeSeq, guest, host, state, fromMs, beforeMs, tenant })
      const items = found.slice(0, limit)
      const last = found.length > limit ? items.at(-1) : undefined
      return { items: items.map(toResource), next: last ? journal.cursors.seal(last.seq) : null }
    },
  )

  app.get(
    '/v1/dumps/:id',
    {
      schema: {
        summary: 'One dump',
        tags: ['dumps'],
        params: dumpParams,
        response: { 200: dumpResource, ...refusals('REQUEST_INVALID', 'DUMP_UNKNOWN') },
      },
    },
    async (request) => toResource(requireDump(journal, request.params.id)),
  )

  app.delete(
    '/v1/dumps/:id',
    {
      schema: {
        summary: 'Cancel a dump, or remove a finished one',
        description:
          'Queued: 200, it is cancelled. Running: 202, its worker is told to end it and the guest runs on. ' +
          'Finished: 204, artifact and record are removed.',
        tags: ['dumps'],
        params: dumpParams,
        response: {
          200: dumpResource,
          202: dumpResource,
          204: z.null(),
          ...refusals(
            ...bodyRefusals,
            'DUMP_UNKNOWN',
            'ARTIFACT_UNREMOVABLE',
            'QUEUE_UNREACHABLE',
            'STORE_UNAVAILABLE',
            'JOURNAL_UNWRITABLE',
          ),
        },
      },
    },
    async (request, reply) => {
      const dump = requireDump(journal, request.params.id)
      if (isFinished(dump.state)) {
        // The artifact first: a record without its artifact can be removed again, the reverse is an orphan.
        await published.remove(dump.id).catch((cause: unknown) => {
          if (cause instanceof StoreError && cause.code === 'STORE_UNAVAILABLE') throw cause
          const detail = `the files of dump ${dump.id} cannot be removed, so its record is kept`
          throw new ApiProblem('ARTIFACT_UNREMOVABLE', detail, { cause })
        })
        if (dump.queued) await queue.forget(dump)
        journal.remove(dump.id)
        request.log.info({ job: dump.id }, 'dump removed')
        return reply.code(204).send(null)
      }
      journal.change(dump.id, { cancelRequested: true })
      request.log.info({ job: dump.id }, 'cancel requested')
      // Written down is asked for: when the queue does not answer now, the next sweep gives the order.
      await follow.look(dump.id)
      const after = requireDump(journal, dump.id)
      return reply.code(isFinished(after.state) ? 200 : 202).send(toResource(after))
    },
  )
}
