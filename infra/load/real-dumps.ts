import { bootGuest, type LabGuest } from '@ullage/lab'
import { setTimeout } from 'node:timers/promises'
import { LocalFleet } from '../fleet/local-fleet.ts'
import { type GuestWatch, listDumps, watchGuests } from './watch-guests.ts'

const ERA = 'trixie'
const HOST = 'real'
/** Dumps that the worker makes at the same time. */
const AT_ONCE = 2
const CLIENTS = 4
/** A client whose guest is being dumped asks for the next so much later. */
const AGAIN_AFTER_MS = 100
const LOOK_EVERY_MS = 250

export interface RealDumps {
  readonly guests: number
  readonly dumps: number
  readonly atOnce: number
  readonly seconds: number
  /** Requests refused because the guest had a dump that waited or ran. */
  readonly refused: number
  /** How often it was looked whether a guest had two of them, and where one had. */
  readonly watch: GuestWatch
  readonly states: Readonly<Record<string, number>>
  /** QEMU's word on each guest at the end. */
  readonly guestStates: readonly string[]
  /** Bytes that the host backs of the guests, before and after. */
  readonly backedBytes: readonly [number, number]
}

/** Real guests, and clients that ask for dumps of them until `dumps` are accepted, of whichever guest comes next. */
export async function runRealDumps(
  { guests: count, dumps }: { guests: number; dumps: number },
  { signal, say }: { signal: AbortSignal; say: (text: string) => void },
): Promise<RealDumps> {
  await using stack = new AsyncDisposableStack()
  const guests: LabGuest[] = []
  while (guests.length < count) {
    const memory = { memMiB: 256, balloonMiB: 96 }
    guests.push(stack.use(await bootGuest({ era: ERA, ...memory, signal })))
    say(`guest ${guests.length} of ${count} has booted`)
  }
  const fleet = stack.use(await LocalFleet.start(signal))
  await fleet.startApi()
  const descriptors = guests.map(({ qmpSocket }, i) => [
    `guest-${i + 1}`,
    { backend: 'virtio-balloon', source: { kind: 'qmp', socket: qmpSocket } },
  ])
  await fleet.startHost(HOST, Object.fromEntries(descriptors), {
    worker: 'real',
    env: { ULLAGE_CONCURRENCY: String(AT_ONCE), ULLAGE_DUMP_THREADS: '1' },
  })
  const before = backedBytes(guests)
  const watch: GuestWatch = { looks: 0, overbooked: [] }
  const watching = new AbortController()
  const watcher = watchGuests(fleet, watch, AbortSignal.any([watching.signal, signal]))
  const started = performance.now()
  let asked = 0
  let accepted = 0
  let refused = 0
  const client = async (): Promise<void> => {
    while (accepted < dumps) {
      const status = await fleet.statusOf('/v1/dumps', { guest: `guest-${(asked++ % count) + 1}` })
      if (status === 202) accepted++
      else if (status === 409) refused++
      else throw new Error(`POST /v1/dumps was answered ${status}`)
      await setTimeout(AGAIN_AFTER_MS, undefined, { signal })
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  say(`${accepted} dumps are accepted, ${refused} requests were refused`)
  while ((await listDumps(fleet, 'queued')).length + (await listDumps(fleet, 'running')).length > 0)
    await setTimeout(LOOK_EVERY_MS, undefined, { signal })
  const seconds = (performance.now() - started) / 1000
  watching.abort()
  await watcher
  const states: Record<string, number> = {}
  for (const { state } of await listDumps(fleet)) states[state] = (states[state] ?? 0) + 1
  const guestStates = await Promise.all(guests.map((guest) => guest.status()))
  return {
    guests: count,
    dumps: accepted,
    atOnce: AT_ONCE,
    seconds,
    refused,
    watch,
    states,
    guestStates,
    backedBytes: [before, backedBytes(guests)],
  }
}

function backedBytes(guests: readonly LabGuest[]): number {
  return guests
    .flatMap((guest) => guest.backedRanges())
    .flatMap(({ ranges }) => ranges)
    .reduce((sum, { startByte, endByte }) => sum + endByte - startByte, 0)
}
