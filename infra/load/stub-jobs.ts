import { setTimeout } from 'node:timers/promises'
import { LocalFleet } from '../fleet/local-fleet.ts'
import { measureEach, measureRequests, type RequestFigures } from './measure-requests.ts'
import { Dump, listDumps } from './watch-guests.ts'

const LOOK_EVERY_MS = 500
const END_WITHIN_MS = 1_800_000

export interface StubJobs {
  readonly hosts: number
  readonly jobs: number
  readonly requests: readonly RequestFigures[]
  /** From the first dump accepted to the last one finished, in seconds. */
  readonly seconds: number
  /** Second requests for guests that had a dump which waited or ran: all refused. */
  readonly refused: number
  readonly states: Readonly<Record<string, number>>
  readonly published: number
}

/**
 * Dumps by the stub, one for each guest of `hosts` hosts, asked for by four clients; each is asked for twice. Then asks the API,
 * which knows so many, `seconds` long for each of its lists.
 */
export async function runStubJobs(
  { hosts, jobs, seconds }: { hosts: number; jobs: number; seconds: number },
  { signal, say }: { signal: AbortSignal; say: (text: string) => void },
): Promise<StubJobs> {
  await using fleet = await LocalFleet.start(signal)
  await fleet.startApi()
  const names = Array.from({ length: hosts }, (_, host) => `host-${host + 1}`)
  const guests = Array.from({ length: jobs }, (_, i) => {
    const host = names[i % hosts] as string
    return { host, id: `${host}-guest-${i + 1}`, seconds: 0 }
  })
  for (const host of names)
    await fleet.startStubHost(
      host,
      guests.filter((guest) => guest.host === host),
    )
  say(`${hosts} hosts are there, ${jobs} guests`)
  // The workers stand still, so that every second request finds the first one waiting.
  fleet.signal('workers', 'SIGSTOP')
  const started = performance.now()
  const ids: string[] = []
  const posts = await measureEach('POST /v1/dumps', guests, async ({ id }) => {
    ids.push(Dump.parse(await fleet.ask('/v1/dumps', { guest: id })).id)
  })
  say(`${jobs} dumps are queued`)
  let refused = 0
  const again = await measureEach('POST /v1/dumps, refused', guests, async ({ id }) => {
    if ((await fleet.statusOf('/v1/dumps', { guest: id })) === 409) refused++
  })
  const begun = performance.now()
  fleet.signal('workers', 'SIGCONT')
  const deadline = begun + END_WITHIN_MS
  for (let left = jobs; left > 0; ) {
    if (performance.now() > deadline) throw new Error(`${left} dumps by the stub did not end in time`)
    await setTimeout(LOOK_EVERY_MS, undefined, { signal })
    left = (await listDumps(fleet, 'queued')).length + (await listDumps(fleet, 'running')).length
  }
  const tookMs = performance.now() - started
  say(`all have ended after ${(tookMs / 1000).toFixed(0)} s`)
  const all = await listDumps(fleet)
  const requests = [posts, again]
  for (const path of ['/v1/dumps?limit=50', `/v1/dumps/${ids[0]}`, '/v1/guests', '/v1/hosts']) {
    say(`asking for ${path}`)
    requests.push(await measureRequests(fleet.url, path, seconds))
  }
  const states: Record<string, number> = {}
  for (const { state } of all) states[state] = (states[state] ?? 0) + 1
  return { hosts, jobs, requests, seconds: tookMs / 1000, refused, states, published: fleet.published().length }
}
