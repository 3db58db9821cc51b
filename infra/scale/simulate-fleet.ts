/** One dump that somebody asks for. */
export interface Request {
  readonly atMs: number
  readonly host: number
}

/** Every dump of the fleet is alike. */
export interface FleetShape {
  /** Dumps at the same time on one host. */
  readonly concurrency: number
  /** What all hosts together may move to and from the storage, in bytes a millisecond. */
  readonly storageRate: number
  /** What one dump may at most: its host's link, divided among the dumps that run there at the same time. */
  readonly dumpRate: number
  readonly stages: readonly Stage[]
}

/** A part of a dump: so long by itself, and so many bytes moved meanwhile; it is over when both are. */
export interface Stage {
  readonly ms: number
  readonly bytes: number
}

export interface FleetOutcome {
  /** From the request to the start of each dump, in the order of the requests, in milliseconds. */
  readonly waitsMs: readonly number[]
  /** When the last dump ended. */
  readonly endMs: number
  /** Most dumps at one time that ran, and that waited. */
  readonly mostRunning: number
  readonly mostWaiting: number
  /** Dumps that waited, and ran, each times how long: in milliseconds. */
  readonly waitedMs: number
  readonly ranMs: number
  /** Bytes moved, by `endMs` and the storage's rate: 1 is a link that was never idle. */
  readonly linkUse: number
}

interface Running {
  readonly host: number
  stage: number
  /** Of the stage: 1 at its start. */
  left: number
}

/**
 * Requests wait in their host's queue, first come first served. A stage goes at its own pace, or as fast as its bytes
 * move: hosts that could move more than their share of the storage share it evenly (max-min). Jumps from event to event;
 * nothing is random.
 */
export function simulateFleet(requests: readonly Request[], shape: FleetShape): FleetOutcome {
  const { concurrency, stages, storageRate } = shape
  const order = requests.map((request, index) => ({ ...request, index })).sort((a, b) => a.atMs - b.atMs)
  const queues = new Map<number, typeof order>()
  const slots = new Map<number, number>()
  const waitsMs = requests.map(() => 0)
  let running: Running[] = []
  let [nowMs, next, waiting, mostRunning, mostWaiting, waitedMs, ranMs] = [0, 0, 0, 0, 0, 0, 0]

  const startNext = (host: number): void => {
    const queue = queues.get(host) ?? []
    while (queue.length > 0 && (slots.get(host) ?? 0) < concurrency) {
      const request = queue.shift()
      if (request === undefined) return
      waiting--
      slots.set(host, (slots.get(host) ?? 0) + 1)
      waitsMs[request.index] = nowMs - request.atMs
      running.push({ host, stage: 0, left: 1 })
    }
  }

  while (next < order.length || running.length > 0) {
    const paces = pacesOf(running, shape)
    const untilEnd = running.map(({ left }, i) => left / (paces[i] as number))
    const arrivalMs = order[next]?.atMs ?? Number.POSITIVE_INFINITY
    const stepMs = untilEnd.reduce((least, ms) => Math.min(least, ms), arrivalMs - nowMs)
    waitedMs += waiting * stepMs
    ranMs += running.length * stepMs
    nowMs += stepMs
    const ended = running.filter((dump, i) => {
      // What ends now is known by its time, not by a remainder that rounding leaves.
      const isOver = (untilEnd[i] as number) <= stepMs * (1 + 1e-9)
      dump.left = isOver ? 1 : dump.left - stepMs * (paces[i] as number)
      if (isOver) dump.stage++
      return dump.stage === stages.length
    })
    if (ended.length > 0) running = running.filter(({ stage }) => stage < stages.length)
    for (const { host } of ended) slots.set(host, (slots.get(host) ?? 0) - 1)
    const hosts = new Set(ended.map(({ host }) => host))
    for (; (order[next]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs; next++) {
      const request = order[next] as (typeof order)[number]
      queues.set(request.host, [...(queues.get(request.host) ?? []), request])
      waiting++
      hosts.add(request.host)
    }
    for (const host of hosts) startNext(host)
    mostRunning = Math.max(mostRunning, running.length)
    mostWaiting = Math.max(mostWaiting, waiting)
  }
  const bytes = requests.length * stages.reduce((sum, stage) => sum + stage.bytes, 0)
  const linkUse = nowMs === 0 ? 0 : bytes / storageRate / nowMs
  return { waitsMs, endMs: nowMs, mostRunning, mostWaiting, waitedMs, ranMs, linkUse }
}

/** What part of its stage each dump does in a millisecond. */
function pacesOf(running: readonly Running[], { stages, storageRate, dumpRate }: FleetShape): number[] {
  const demands = running.map(({ stage }) => {
    const { ms, bytes } = stages[stage] as Stage
    return bytes > 0 ? Math.min(bytes / ms, dumpRate) : 0
  })
  const rates = shareOut(demands, storageRate)
  return running.map(({ stage }, i) => {
    const { ms, bytes } = stages[stage] as Stage
    return bytes > 0 ? Math.min(1 / ms, (rates[i] as number) / bytes) : 1 / ms
  })
}

/** Max-min fair: nobody gets more than it demands, and what is left is shared evenly by those who want more. */
export function shareOut(demands: readonly number[], total: number): number[] {
  const rates = demands.map(() => 0)
  const least = demands.map((_, i) => i).sort((a, b) => (demands[a] as number) - (demands[b] as number))
  let left = total
  least.forEach((i, done) => {
    rates[i] = Math.min(demands[i] as number, left / (least.length - done))
    left -= rates[i]
  })
  return rates
}

/** The least value that at least this share of the values (0 to 1) does not exceed; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
