import { pagesJob, reasonOfFailure, toFailure } from '@ullage/dump-job'
import { type Job, UnrecoverableError } from 'bullmq'
import type { Logger } from 'pino'
import { descriptorPath } from './guest-folder.ts'
import { AttemptError } from './job-failure.ts'
import { runChild } from './run-child.ts'
import type { WorkerConfig } from './worker-config.ts'

/** A question about pages is answered, or given up, within this time, in milliseconds. */
const ANSWER_WITHIN_MS = 120_000

export interface PagesJobContext {
  readonly config: WorkerConfig
  readonly childModule: URL
  readonly log: Logger
}

/** Asks both witnesses about the frames of the guest that `job` names; pauses nothing. Never retried. */
export async function runPagesJob({ config, childModule, log }: PagesJobContext, job: Job, signal: AbortSignal) {
  const { data, error } = pagesJob.safeParse(job.data)
  if (!data) throw new UnrecoverableError(`JOB_INVALID: the job is not an ullage.pages-job/1: ${error.message}`)
  const { guest, tenant } = data
  try {
    const { stateDir, guestsDir } = config
    const answer = await runChild(
      { task: 'pages', guest, tenant, descriptor: descriptorPath(guestsDir, guest), stateDir },
      { module: childModule, silenceMs: ANSWER_WITHIN_MS, log: log.child({ job: job.id, guest }), signal },
    )
    if (answer.say !== 'pages') throw new AttemptError('INTERNAL', `the process answered with ${answer.say}`)
    return answer.pages
  } catch (error) {
    const failure =
      error instanceof AttemptError
        ? error.failure
        : toFailure('INTERNAL', error instanceof Error ? error.message : String(error))
    throw Object.assign(new UnrecoverableError(reasonOfFailure(failure)), { cause: error })
  }
}
