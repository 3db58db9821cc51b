import { dumpJob, type PublishedReport } from '@ullage/dump-job'
import type { Traces } from '@ullage/traces'
import type { Job } from 'bullmq'
import type { AttemptOutcome } from './worker-metrics.ts'

/** The span of one attempt at a dump, and those of its phases below it. */
export interface AttemptTrace {
  /** The engine is done: what follows is storing. Only the first call counts. */
  stores(): void
  /** Adds the phases, by the timings of the report. */
  published(report: PublishedReport): void
  /** Ends the span. Of a failure only its code is said: messages may name files of this host. */
  end(outcome: AttemptOutcome, code?: string): void
}

/** Begins the span of an attempt, below the request that asked for the dump where the job names one. */
export function traceAttempt(traces: Traces, job: Job, host: string): AttemptTrace {
  const { data } = dumpJob.safeParse(job.data)
  const span = traces.begin('dump', {
    kind: 'consumer',
    parent: data?.traceparent,
    attributes: {
      'ullage.dump': data?.dump,
      'ullage.guest': data?.guest,
      'ullage.tenant': data?.tenant ?? undefined,
      'ullage.host': host,
      'ullage.attempt': job.attemptsStarted,
    },
  })
  let engineDoneMs: number | undefined
  return {
    stores() {
      engineDoneMs ??= Date.now()
    },
    published({ timingsMs: { classify, write, verify, total }, artifact: { bytes } }) {
      const endMs = Date.now()
      const doneMs = engineDoneMs ?? endMs
      // The engine says how long, not when: classifying is its first act, and writing and verifying are its last.
      const beginMs = doneMs - total
      span.past('classify', { startMs: beginMs, endMs: beginMs + classify })
      span.past('write', { startMs: doneMs - verify - write, endMs: doneMs - verify })
      span.past('verify', { startMs: doneMs - verify, endMs: doneMs })
      span.past('store', { startMs: doneMs, endMs })
      span.set({ 'ullage.artifact.bytes': bytes })
    },
    end(outcome, code) {
      span.set({ 'ullage.outcome': outcome, 'ullage.code': code })
      span.end(code)
    },
  }
}
