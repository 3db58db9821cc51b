import { type ArtifactStore, StoreError } from '@ullage/artifact-store'
import {
  cancelKey,
  dumpJob,
  type DumpJob,
  type DumpProgress,
  type DumpResult,
  dumpResult,
  failureOfReason,
  resultOfReport,
  unlessAborted,
} from '@ullage/dump-job'
import type { Traces } from '@ullage/traces'
import { type Job, WaitingError } from 'bullmq'
import type { RedisClient } from '@ullage/redis-connection'
import type { Logger } from 'pino'
import { raiseFence } from './attempt-fence.ts'
import { findDescriptor } from './guest-folder.ts'
import { AttemptError, failureOf, toJobError } from './job-failure.ts'
import { lateSignal } from './late-signal.ts'
import { relayProgress } from './relay-progress.ts'
import { lockLost, renewLock } from './renew-lock.ts'
import { runChild } from './run-child.ts'
import type { SpaceLedger } from './space-ledger.ts'
import { type AttemptTrace, traceAttempt } from './trace-attempt.ts'
import { within } from './within.ts'
import type { WorkerConfig } from './worker-config.ts'
import type { WorkerMetrics } from './worker-metrics.ts'

/** How long a finished dump may still be published after its attempt was told to end, in milliseconds. */
const PUBLISH_WITHIN_MS = 2_000
/**
 * How long a store may take to remove what an attempt left, in milliseconds; the worker's next start removes the rest. Less where
 * somebody waits for the end, or the store was not there a moment ago.
 */
const REMOVE_WITHIN_MS = { usually: 60_000, inHaste: 2_000 }
/** Codes of a store that does not answer, and of a disk that did not while a guest stood still. */
const STORE_AWAY: readonly string[] = ['STORE_UNAVAILABLE', 'TIMEOUT']
/** How long Redis may take to put a job back when the worker ends, in milliseconds; the next start takes back the others. */
const PUT_BACK_WITHIN_MS = 1_000

/** Why a running job is told to end; what happens to the job differs. */
export const stopReasons = { cancelled: 'cancelled', shutdown: 'shutdown', lockLost: 'lockLost' } as const

export interface DumpJobContext {
  readonly config: WorkerConfig
  readonly redis: RedisClient
  readonly artifacts: ArtifactStore
  /** Module that the child runs. */
  readonly childModule: URL
  readonly log: Logger
  /** Tells whoever shows the job that it changed. */
  readonly announce: (job: string) => void
  readonly metrics: WorkerMetrics
  /** What all dumps of this worker may write. */
  readonly space: SpaceLedger
  /** Left out, attempts are not traced. */
  readonly traces?: Traces | undefined
}

/**
 * Makes one attempt at the dump that `job` asks for, and returns its result. Throws what makes BullMQ retry it, fail it,
 * or, when the worker shuts down, put it back.
 */
export async function runDumpJob(
  context: DumpJobContext,
  job: Job,
  token: string,
  signal: AbortSignal,
): Promise<DumpResult> {
  const attempt = job.attemptsMade + 1
  const log = context.log.child({ job: job.id })
  const trace = context.traces && traceAttempt(context.traces, job, context.config.host)
  try {
    const result = await makeAttempt({ ...context, log, trace }, job, token, signal)
    context.metrics.attempt('succeeded')
    trace?.end('succeeded')
    return result
  } catch (error) {
    if (signal.aborted && signal.reason === stopReasons.shutdown) {
      context.metrics.attempt('putBack')
      trace?.end('putBack')
      await putBackInTime(job, token, log)
      throw new WaitingError()
    }
    const failure = toJobError(signal.aborted ? endedBy(signal.reason, error) : error, attempt, job.failedReason)
    const { code } = failureOfReason(failure.message)
    context.metrics.attempt('failed', code)
    trace?.end('failed', code)
    const cause = error instanceof StoreError && error.cause instanceof Error ? error.cause.message : undefined
    const final = failure.name === 'UnrecoverableError'
    log.error({ attempt, reason: failure.message, final, ...(cause !== undefined && { cause }) }, 'the attempt failed')
    throw failure
  }
}

/** Puts a job back into the queue, in front. Throws what tells BullMQ so. */
export async function putBack(job: Job, token: string): Promise<never> {
  await job.moveToWait(token)
  throw new WaitingError()
}

/** A job that could not be put back is, to the next start, one of a worker that died. */
async function putBackInTime(job: Job, token: string, log: Logger): Promise<void> {
  try {
    const isHeard = await within(PUT_BACK_WITHIN_MS, job.moveToWait(token))
    if (isHeard) return log.info('put back into the queue: the worker is ending')
    log.warn('redis does not answer: the next start of this worker takes the dump up again')
  } catch (error) {
    log.warn(
      { reason: String(error) },
      'not put back into the queue: the next start of this worker takes the dump up again',
    )
  }
}

async function makeAttempt(
  context: DumpJobContext & { readonly trace: AttemptTrace | undefined },
  job: Job,
  token: string,
  signal: AbortSignal,
): Promise<DumpResult> {
  const { config, artifacts, trace } = context
  const asked = readJob(job)
  const log = context.log.child({ guest: asked.guest })
  if (await unlessAborted(context.redis.exists(cancelKey(asked.dump)), signal))
    throw new AttemptError('CANCELLED', 'cancelled before it began')
  // A Redis that takes no writes gives jobs away all the same.
  const lock = { token, lockMs: config.lockMs, log }
  await renewLock(job, { ...lock, signal })
  const earlier = await artifacts.report(asked.dump, signal)
  if (earlier) {
    log.info('already published by an attempt that could not say so')
    return resultOfReport(earlier)
  }
  const descriptor = await descriptorOf(config.guestsDir, asked.guest, signal)

  const order = { queuedMs: job.timestamp, attempt: job.attemptsStarted }
  const fence = await raiseFence(config.locksDir, asked.dump, order, signal)
  // Given back last, when what the attempt leaves has been removed.
  using space = context.space.claim()
  const attempt = await artifacts.begin(asked.dump, signal)
  const relay = relayProgress(job, (id) => context.announce(id), log)
  let isStoreAway = false
  try {
    log.info({ options: asked.options, attempt: job.attemptsStarted }, 'dump begins')
    const answer = await runChild(
      {
        task: 'dump',
        guest: asked.guest,
        tenant: asked.tenant,
        descriptor,
        stateDir: config.stateDir,
        guardianScope: config.guardianScope,
        output: attempt.output,
        delivery: attempt.delivery,
        keepFreeBytes: config.keepFreeBytes,
        options: asked.options,
        ...(config.threads !== undefined && { threads: config.threads }),
        ...(config.memoryBytes !== undefined && { memoryBytes: config.memoryBytes }),
      },
      {
        module: context.childModule,
        silenceMs: config.silenceMs,
        log,
        signal,
        space,
        onProgress: (progress: DumpProgress) => {
          if (progress.stage === 'store') trace?.stores()
          relay.report(progress)
        },
        onStart: (pid) => log.info({ pid }, 'dump process started'),
      },
    )
    trace?.stores()
    if (answer.say !== 'dumped') throw new AttemptError('INTERNAL', `the dump process answered with ${answer.say}`)
    const late = lateSignal(signal, PUBLISH_WITHIN_MS)
    const report = await fence.pass(async () => {
      // Publication is what must not happen twice: the last look at the lock is just before it.
      await renewLock(job, { ...lock, signal: late })
      return attempt.publish(answer.report, answer.delivered, late)
    }, late)
    context.metrics.published(asked.guest, report)
    trace?.published(report)
    log.info({ bytes: report.artifact.bytes, sha256: report.artifact.sha256 }, 'dump published')
    return dumpResult.parse(resultOfReport(report))
  } catch (error) {
    isStoreAway = STORE_AWAY.includes(failureOf(error).code)
    throw error
  } finally {
    await relay.end()
    const { usually, inHaste } = REMOVE_WITHIN_MS
    const limits = [AbortSignal.timeout(isStoreAway ? inHaste : usually), lateSignal(signal, inHaste)]
    // What is left is removed by the next start; what became of the dump is already settled.
    await attempt.remove(AbortSignal.any(limits)).catch((error: unknown) => {
      log.warn({ err: error }, 'what the attempt left is still there')
    })
  }
}

function readJob(job: Job): DumpJob {
  const { data, error } = dumpJob.safeParse(job.data)
  if (!data) throw new AttemptError('JOB_INVALID', `the job is not an ullage.job/1: ${error.message}`)
  if (data.dump !== job.id)
    throw new AttemptError('JOB_INVALID', `the job is for dump ${data.dump}, its id is ${job.id}`)
  return data
}

async function descriptorOf(guestsDir: string, guest: string, signal: AbortSignal): Promise<string> {
  try {
    return await findDescriptor(guestsDir, guest, signal)
  } catch (error) {
    if (signal.aborted) throw error
    const message = `no descriptor for guest ${guest} on this host; GET /v1/guests lists those there are`
    throw new AttemptError('GUEST_NOT_FOUND', message, { cause: error })
  }
}

/** What an attempt failed of that was told to end; what waited for the store has thrown the reason itself. */
function endedBy(reason: unknown, error: unknown): unknown {
  if (reason === stopReasons.lockLost) return lockLost(error)
  return error === reason ? new AttemptError('CANCELLED', 'cancelled while it ran') : error
}
