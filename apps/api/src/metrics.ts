import { type DumpFailure, type DumpState, dumpState, failureWords, isFinished } from '@ullage/dump-job'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { DumpRecord } from './dump-record.ts'
import type { Journal } from './journal.ts'
import type { KnownHosts } from './known-hosts.ts'
import type { WriteProbe } from './write-probe.ts'

const SECONDS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600]
/** 1 MiB to 1 TiB. */
const BYTES = [20, 24, 27, 30, 33, 36, 40].map((power) => 2 ** power)
/** What a code becomes that this API does not know: a later worker's. */
const OTHER = 'OTHER'
const KINDS = ['untouched', 'inUseUnbacked', 'offlineUntold']
const HTTP_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30]

/** What Prometheus is told. Counts that the journal has are read from it at each scrape. */
export class Metrics {
  readonly registry = new Registry()
  readonly requests: Histogram

  constructor(journal: Journal, { knownHosts, writeProbe }: { knownHosts: KnownHosts; writeProbe: WriteProbe }) {
    const registers = [this.registry]
    this.requests = new Histogram({
      name: 'ullage_http_request_seconds',
      help: 'time to answer, without the time to send an artifact or events',
      labelNames: ['method', 'route', 'status'],
      buckets: HTTP_SECONDS,
      registers,
    })
    this.registry.registerMetric(
      new Gauge({
        name: 'ullage_dumps',
        help: 'dumps in the journal, by state',
        labelNames: ['state'],
        registers: [],
        collect() {
          const counts = journal.counts()
          for (const state of dumpState.options) this.set({ state }, counts[state])
        },
      }),
    )
    this.registry.registerMetric(
      new Gauge({
        name: 'ullage_oldest_queued_dump_seconds',
        help: 'age of the oldest dump that waits for a worker, 0 when none does',
        registers: [],
        collect() {
          const oldest = journal.active().find(({ state }) => state === 'queued')
          this.set(oldest ? (Date.now() - oldest.createdMs) / 1000 : 0)
        },
      }),
    )
    this.registry.registerMetric(
      new Gauge({
        name: 'ullage_hosts',
        help: 'hosts, by whether their worker was heard of in the last 30 s',
        labelNames: ['reachable'],
        registers: [],
        async collect() {
          // Without Redis nothing is known of hosts: the series is left out.
          this.reset()
          const hosts = await knownHosts().catch(() => undefined)
          for (const reachable of hosts ? [true, false] : []) {
            this.set(
              { reachable: String(reachable) },
              hosts?.filter((host) => host.reachable === reachable).length ?? 0,
            )
          }
        },
      }),
    )
    this.registry.registerMetric(
      new Gauge({
        name: 'ullage_redis_refuses_writes',
        help: '1 while Redis answers and takes no writes, as a full one does, else 0',
        registers: [],
        async collect() {
          // Of one that does not answer nothing is known.
          this.reset()
          const found = await writeProbe().then(
            (code) => (code === undefined ? 0 : 1),
            () => undefined,
          )
          if (found !== undefined) this.set(found)
        },
      }),
    )
    this.registry.registerMetric(
      new Gauge({
        name: 'ullage_active_dumps',
        help: 'dumps that are queued or running, by host',
        labelNames: ['host', 'state'],
        registers: [],
        collect() {
          // A host without any has no series: there are no more of them than active dumps.
          this.reset()
          for (const { host, state } of journal.active()) this.inc({ host, state })
        },
      }),
    )
    this.#finished(journal, registers)
  }

  #finished(journal: Journal, registers: Registry[]): void {
    const finished = new Counter({
      name: 'ullage_dumps_finished_total',
      help: 'dumps that came to an end while this API ran, by how',
      labelNames: ['state', 'code'],
      registers,
    })
    const seconds = histogram('ullage_dump_seconds', 'time that a dump took on its host', registers)
    const paused = histogram('ullage_dump_pause_seconds', 'time that a guest stood still for its dump', registers)
    const bytes = new Counter({ name: 'ullage_artifact_bytes_total', help: 'bytes of published artifacts', registers })
    const disagreements = new Counter({
      name: 'ullage_disagreement_frames_total',
      help: 'frames of which guest and host said what does not fit, by kind',
      labelNames: ['kind'],
      registers,
    })
    const reclaimable = new Histogram({
      name: 'ullage_reclaimable_bytes',
      help: 'memory that a dumped guest gave back and its host still held',
      buckets: BYTES,
      registers,
    })
    const alarms = new Counter({
      name: 'ullage_alarms_total',
      help: 'dumps whose report says that memory the guest relies on may be gone',
      registers,
    })
    // A series that begins with its first event has no increase by it: all that can be counted are there from the start.
    for (const end of ends()) finished.inc(end, 0)
    for (const kind of KINDS) disagreements.inc({ kind }, 0)
    journal.watch(({ state, failure, result }: DumpRecord) => {
      // What is finished changes once more, when retention removes its artifact: each dump is counted once.
      if (!isFinished(state) || result?.expiredAt !== undefined) return
      finished.inc({ state, code: codeOf(failure) })
      if (!result) return
      seconds.observe(result.totalMs / 1000)
      paused.observe(result.pausedMs / 1000)
      bytes.inc(result.artifact.bytes)
      if (result.alarm) alarms.inc()
      if (!result.disagreements) return
      const { reclaimableBytes, ...kinds } = result.disagreements
      reclaimable.observe(reclaimableBytes)
      for (const [kind, frames] of Object.entries(kinds)) disagreements.inc({ kind }, frames)
    })
  }
}

/** How dumps can end. */
function ends(): { state: DumpState; code: string }[] {
  const others: { state: DumpState; code: string }[] = [
    { state: 'succeeded', code: '' },
    { state: 'cancelled', code: 'CANCELLED' },
    { state: 'lost', code: 'LOST' },
  ]
  const codes = [...Object.keys(failureWords), OTHER].filter((code) => !others.some((end) => end.code === code))
  return [...others, ...codes.map((code) => ({ state: 'failed' as const, code }))]
}

function codeOf(failure: DumpFailure | null): string {
  if (!failure) return ''
  return Object.hasOwn(failureWords, failure.code) ? failure.code : OTHER
}

function histogram(name: string, help: string, registers: Registry[]): Histogram {
  return new Histogram({ name, help, buckets: SECONDS, registers })
}
