import autocannon from 'autocannon'
import { quantile } from '../scale/simulate-fleet.ts'

/** Clients that ask at the same time, each its next question as soon as the last is answered. */
export const CLIENTS = 4

export interface RequestFigures {
  readonly what: string
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly count: number
}

/** Asks for `path` for `seconds`. Throws when an answer is not 200, or does not come. */
export async function measureRequests(url: string, path: string, seconds: number): Promise<RequestFigures> {
  const result = await autocannon({ url: `${url}${path}`, connections: CLIENTS, duration: seconds, timeout: 10 })
  const failed = result.errors + result.timeouts + result.non2xx
  if (failed > 0) throw new Error(`${failed} of ${result.requests.total} requests for ${path} failed`)
  return {
    what: `GET ${path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, '{id}')}`,
    perSecond: result.requests.total / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    count: result.requests.total,
  }
}

/** Does `run` for each of `items`, `CLIENTS` at a time, and takes the time of each. */
export async function measureEach<T>(
  what: string,
  items: readonly T[],
  run: (item: T) => Promise<unknown>,
): Promise<RequestFigures> {
  const tookMs: number[] = []
  const waiting = items.values()
  const started = performance.now()
  const client = async (): Promise<void> => {
    for (const item of waiting) {
      const begun = performance.now()
      await run(item)
      tookMs.push(performance.now() - begun)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  const seconds = (performance.now() - started) / 1000
  return {
    what,
    perSecond: items.length / seconds,
    p50Ms: quantile(tookMs, 0.5),
    p99Ms: quantile(tookMs, 0.99),
    count: items.length,
  }
}
