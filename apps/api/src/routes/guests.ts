import { classMatrix, guestAnnouncement, guestId, hostId, warning } from '@ullage/dump-job'
import { z } from 'zod'
import { refusals } from '../answers.ts'
import type { ApiParts, ZodInstance } from '../api-parts.ts'
import { visibleHosts } from '../auth/visible-hosts.ts'
import { type FleetGuest, findGuest, guestsOf, requireReachable } from '../fleet.ts'
import { nextPage, pageOf, pageQuery, yesOrNo } from '../page-of.ts'

const guestResource = guestAnnouncement
  .extend({
    host: hostId,
    reachable: z.boolean().describe("whether the host's worker was heard of in the last 30 s"),
    drainingSince: z.iso.datetime().nullable().describe('since when its host takes no new dumps, or null'),
    activeDump: z.string().nullable().describe('address of the dump that is queued or running'),
    links: z.object({ self: z.string(), pages: z.string() }),
  })
  .meta({ id: 'Guest' })

/** What both witnesses say of a guest's frames, as `ullage pages --json` prints it. */
const guestPages = z
  .looseObject({
    guest: z.looseObject({ backend: z.string(), kernel: z.string().nullable(), pageSize: z.number() }),
    frames: z.looseObject({ total: z.int(), byClass: classMatrix }),
    warnings: z.array(warning),
  })
  .meta({ id: 'GuestPages' })

const guestList = z.object({ items: z.array(guestResource), next: nextPage }).meta({ id: 'GuestList' })

const guestQuery = z.strictObject({
  ...pageQuery,
  host: hostId.optional(),
  backend: z.string().max(63).optional().describe('of the descriptor, such as virtio-balloon'),
  reachable: yesOrNo.optional(),
})

/** Why a guest is not found. */
const unfound = ['REQUEST_INVALID', 'GUEST_UNKNOWN', 'GUEST_AMBIGUOUS', 'QUEUE_UNREACHABLE'] as const

const guestParams = z.strictObject({ id: guestId })

export function guestRoutes(app: ZodInstance, { journal, queue, fleet }: ApiParts): void {
  const toGuest = (guest: FleetGuest) => {
    const active = journal.activeOf(guest.id, guest.tenant)
    const self = `/v1/guests/${guest.id}`
    return {
      ...guest,
      activeDump: active ? `/v1/dumps/${active.id}` : null,
      links: { self, pages: `${self}/pages` },
    }
  }

  app.get(
    '/v1/guests',
    {
      schema: {
        summary: 'List the guests that hosts announce',
        tags: ['guests'],
        querystring: guestQuery,
        response: { 200: guestList, ...refusals('REQUEST_INVALID', 'QUEUE_UNREACHABLE') },
      },
    },
    async (request) => {
      const { host, backend, reachable, ...page } = request.query
      const found = guestsOf(visibleHosts(await fleet.hosts(), request.principal)).filter(
        (guest) =>
          (host === undefined || guest.host === host) &&
          (backend === undefined || guest.backend === backend) &&
          (reachable === undefined || String(guest.reachable) === reachable),
      )
      const { items, next } = pageOf(found, (guest) => [guest.id, guest.host], page)
      return { items: items.map(toGuest), next }
    },
  )

  app.get(
    '/v1/guests/:id',
    {
      schema: {
        summary: 'One guest',
        tags: ['guests'],
        params: guestParams,
        response: { 200: guestResource, ...refusals(...unfound) },
      },
    },
    async ({ principal, params }) =>
      toGuest(findGuest(visibleHosts(await fleet.hostsOf(params.id, principal.tenant), principal), params.id)),
  )

  // A question takes the worker seconds: who asks while it is asked gets the same answer.
  const asking = new Map<string, Promise<unknown>>()
  app.get(
    '/v1/guests/:id/pages',
    {
      schema: {
        summary: "What guest and host say of the guest's frames, by class and state",
        description: 'Asks the worker on the host. Pauses nothing and reads no page content.',
        tags: ['guests'],
        params: guestParams,
        response: {
          200: guestPages,
          ...refusals(...unfound, 'HOST_UNREACHABLE', 'PAGES_FAILED', 'PAGES_TIMEOUT'),
        },
      },
    },
    async ({ principal, params }) => {
      const guest = findGuest(visibleHosts(await fleet.hostsOf(params.id, principal.tenant), principal), params.id)
      requireReachable(guest)
      const { host, id, tenant } = guest
      const key = `${host} ${id} ${tenant}`
      const answer = asking.get(key) ?? queue.pages(host, id, tenant).finally(() => asking.delete(key))
      asking.set(key, answer)
      return guestPages.parse(await answer)
    },
  )
}
