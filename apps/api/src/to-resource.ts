import type { DumpResource } from '@ullage/dump-job'
import type { DumpRecord } from './dump-record.ts'

/** A dump as clients see it. */
export function toResource(dump: DumpRecord): DumpResource {
  return {
    id: dump.id,
    guest: dump.guest,
    host: dump.host,
    tenant: dump.tenant,
    state: dump.state,
    revision: dump.revision,
    options: dump.options,
    createdAt: new Date(dump.createdMs).toISOString(),
    startedAt: dump.startedMs === null ? null : new Date(dump.startedMs).toISOString(),
    finishedAt: dump.finishedMs === null ? null : new Date(dump.finishedMs).toISOString(),
    attempts: dump.attempts,
    cancelRequested: dump.cancelRequested,
    hostUnreachable: dump.hostUnreachable,
    progress: dump.progress,
    failure: dump.failure,
    result: dump.result,
    links: linksOf(dump),
  }
}

/** Where the rest of a dump is, as it is in this state. */
export function linksOf({ id, state, result }: Pick<DumpResource, 'id' | 'state' | 'result'>): DumpResource['links'] {
  const self = `/v1/dumps/${id}`
  const published = state === 'succeeded' && result?.expiredAt === undefined
  return {
    self,
    events: `${self}/events`,
    artifact: published ? `${self}/artifact` : null,
    report: published ? `${self}/report` : null,
  }
}
