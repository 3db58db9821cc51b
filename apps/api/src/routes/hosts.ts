import { guestId, hostAnnouncement, hostId } from '@ullage/dump-job'
import { z } from 'zod'
import { refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import type { FleetHost } from '../fleet.ts'
import { ApiProblem } from '../problem.ts'

const hostResource = hostAnnouncement
  .omit({ guests: true })
  .extend({
    reachable: z.boolean().describe('whether its worker was heard of in the last 30 s'),
    drainingSince: z.iso.datetime().nullable().describe('since when it takes no new dumps, or null'),
    guests: z.array(guestId),
  })
  .meta({ id: 'Host' })

const hostParams = z.strictObject({ id: hostId })

export function hostRoutes(app: ZodInstance, { fleet }: ApiParts): void {
  app.get(
    '/v1/hosts',
    {
      schema: {
        summary: 'List the hosts that have a worker, or had one lately',
        tags: ['hosts'],
        response: { 200: z.object({ items: z.array(hostResource) }), ...refusals('QUEUE_UNREACHABLE') },
      },
    },
    async () => ({ items: (await fleet.hosts()).map(toHost) }),
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
