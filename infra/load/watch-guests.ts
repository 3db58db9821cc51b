import type { LocalFleet } from '../fleet/local-fleet.ts'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'

const EVERY_MS = 100
const ACTIVE = ['queued', 'running'] as const

export const Dump = z.object({ id: z.string(), guest: z.string(), state: z.string() })
const Page = z.object({ items: z.array(Dump), next: z.string().nullable() })

export type Dump = z.infer<typeof Dump>

/** All dumps in this state, or in any. */
export async function listDumps(fleet: LocalFleet, state?: string): Promise<Dump[]> {
  const all: Dump[] = []
  let cursor = ''
  for (;;) {
    const query = `limit=200${state === undefined ? '' : `&state=${state}`}${cursor}`
    const { items, next } = Page.parse(await fleet.ask(`/v1/dumps?${query}`))
    all.push(...items)
    if (next === null) return all
    cursor = `&cursor=${encodeURIComponent(next)}`
  }
}

/** What was seen of guests with more than one dump that waits or runs. */
export interface GuestWatch {
  looks: number
  readonly overbooked: string[]
}

/** Looks again and again, until `signal` ends it, whether a guest has two dumps that wait or run. */
export async function watchGuests(fleet: LocalFleet, watch: GuestWatch, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const seen = new Map<string, Set<string>>()
    for (const state of ACTIVE) {
      for (const { guest, id } of await listDumps(fleet, state)) seen.set(guest, (seen.get(guest) ?? new Set()).add(id))
    }
    watch.looks++
    for (const [guest, ids] of seen) if (ids.size > 1) watch.overbooked.push(`${guest}: ${[...ids].join(', ')}`)
    await setTimeout(EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
}
