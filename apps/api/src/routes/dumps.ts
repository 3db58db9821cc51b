import { randomUUID } from 'node:crypto'
import { dumpId, dumpRequest, dumpResource, dumpState, guestId, isFinished } from '@ullage/dump-job'
import { z } from 'zod'
import { refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import { findGuest, requireReachable, requireUndrained } from '../fleet.ts'
import type { DumpRecord, Journal } from '../journal.ts'
import { ApiProblem } from '../problem.ts'
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
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'expected the "next" of an earlier page')
    .optional(),
  guest: guestId.optional(),
  state: dumpState.optional(),
})

/** The dump of this id. Throws ApiProblem DUMP_UNKNOWN. */
export function requireDump(journal: Journal, id: string): DumpRecord {
  const dump = journal.get(id)
  if (!dump) throw new ApiProblem('DUMP_UNKNOWN', `no dump has the id ${id}`)
  return dump
}

export function dumpRoutes(app: ZodInstance, { journal, queue, fleet, follow, published }: ApiParts): void {
  app.post(
    '/v1/dumps',
    {
      schema: {
        summary: 'Ask for a dump of a guest',
        description: 'Returns as soon as the dump is written down; follow its events.',
        tags: ['dumps'],
        body: dumpRequest,
        response: {
          202: dumpResource,
          ...refusals(
            ...bodyRefusals,
            'GUEST_UNKNOWN',
            'GUEST_AMBIGUOUS',
            'GUEST_UNUSABLE',
            'DUMP_ACTIVE',
            'HOST_UNREACHABLE',
            'HOST_DRAINING',
            'QUEUE_UNREACHABLE',
          ),
        },
      },
    },
    async (request, reply) => {
      const { guest: id, ...options } = request.body
      const guest = findGuest(await fleet.hostsOf(id), id)
      requireReachable(guest)
      requireUndrained(guest)
      if (guest.problem) throw new ApiProblem('GUEST_UNUSABLE', guest.problem.message)
      const { accepted, dump } = journal.accept({ id: randomUUID(), guest: id, host: guest.host, options })
      const { links } = toResource(dump)
      if (!accepted) {
        throw new ApiProblem('DUMP_ACTIVE', `guest ${id} has dump ${dump.id}, which is ${dump.state}`, {
          members: { dump: links.self },
          headers: { link: `<${links.self}>; rel="related"` },
        })
      }
      request.log.info({ job: dump.id, guest: id, on: guest.host }, 'dump accepted')
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
      const { limit, cursor, guest, state } = request.query
      const beforeSeq = cursor === undefined ? undefined : Number(cursor)
      // One more than asked for tells whether there is another page.
      const found = journal.list({ limit: limit + 1, beforeSeq, guest, state })
      const items = found.slice(0, limit)
      return { items: items.map(toResource), next: found.length > limit ? String(items.at(-1)?.seq) : null }
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
          ...refusals(...bodyRefusals, 'DUMP_UNKNOWN', 'QUEUE_UNREACHABLE'),
        },
      },
    },
    async (request, reply) => {
      const dump = requireDump(journal, request.params.id)
      if (isFinished(dump.state)) {
        // The artifact first: a record without its artifact can be removed again, the reverse is an orphan.
        await published.remove(dump.id)
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
