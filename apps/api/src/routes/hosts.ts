import { guestId, hostAnnouncement, hostId } from '@ullage/dump-job'
import { z } from 'zod'
import { refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import { visibleHosts } from '../auth/visible-hosts.ts'
import type { FleetHost } from '../fleet.ts'
import { nextPage, pageOf, pageQuery, yesOrNo } from '../page-of.ts'
import { ApiProblem } from '../problem.ts'

/** A tenant is told less. */
const hostResource = hostAnnouncement
  .omit({ guests: true, host: true })
  .partial()
  .extend({
    host: hostId,
    reachable: z.boolean().describe('whether its worker was heard of in the last 30 s'),
    drainingSince: z.iso.datetime().nullable().optional().describe('since when it takes no new dumps, or null'),
    guests: z.array(guestId),
  })
  .meta({ id: 'Host' })

const hostList = z.object({ items: z.array(hostResource), next: nextPage }).meta({ id: 'HostList' })
const hostQuery = z.strictObject({ ...pageQuery, reachable: yesOrNo.optional() })
const hostParams = z.strictObject({ id: hostId })

export function hostRoutes(app: ZodInstance, { fleet }: ApiParts): void {
  app.get(
    '/v1/hosts',
    {
      schema: {
        summary: 'List the hosts that have a worker, or had one lately',
        description: 'A tenant sees the names of hosts that have guests of its own, and those guests.',
        tags: ['hosts'],
        querystring: hostQuery,
        response: { 200: hostList, ...refusals('REQUEST_INVALID', 'QUEUE_UNREACHABLE') },
      },
    },
    async (request) => {
      const { reachable, ...page } = request.query
      const found = visibleHosts(await fleet.hosts(), request.principal).filter(
        (host) => reachable === undefined || String(host.reachable) === reachable,
      )
      const { items, next } = pageOf(found, (host) => [host.host], page)
      return { items: items.map(request.principal.tenant === null ? toHost : toKnownHost), next }
    },
  )

  const drain = async (id: string, draining: boolean) => {
    if (!(await fleet.host(id))) throw new ApiProblem('HOST_UNKNOWN', `no worker of a host ${id} was heard of lately`)
    await fleet.drain(id, draining)
    const host = await fleet.host(id)
    if (!host) throw new ApiProblem('HOST_UNKNOWN', `host ${id} was forgotten just now`)
    return toHost(host)
  }
  const answers = {
    200: hostResource,
    ...refusals('REQUEST_INVALID', 'BODY_TOO_LARGE', 'MEDIA_TYPE', 'HOST_UNKNOWN', 'QUEUE_UNREACHABLE'),
  }

  app.put(
    '/v1/hosts/:id/drain',
    {
      schema: {
        summary: 'Have a host take no new dumps',
        description:
          'What runs there is finished; what is queued stays queued, also when the worker starts again; POST /v1/dumps for ' +
          'its guests is refused with HOST_DRAINING. Holds until DELETE.',
        tags: ['hosts'],
        params: hostParams,
        response: answers,
      },
    },
    async (request) => {
      request.log.info({ on: request.params.id }, 'host is drained')
      return drain(request.params.id, true)
    },
  )

  app.delete(
    '/v1/hosts/:id/drain',
    {
      schema: {
        summary: 'Have a host take dumps again',
        tags: ['hosts'],
        params: hostParams,
        response: answers,
      },
    },
    async (request) => {
      request.log.info({ on: request.params.id }, 'host takes dumps again')
      return drain(request.params.id, false)
    },
  )
}

function toHost({ guests, ...host }: FleetHost) {
  return { ...host, guests: guests.map(({ id }) => id) }
}

/** What a host does besides its guests is no tenant's business. */
function toKnownHost({ host, reachable, guests }: FleetHost) {
  return { host, reachable, guests: guests.map(({ id }) => id) }
}
