import type { Logger } from 'pino'
import type { ChildOrder, SpaceNeed } from './child-protocol.ts'
import { errnoOf } from './errno-of.ts'
import { AttemptError } from './job-failure.ts'
import type { SpaceClaim } from './space-ledger.ts'

export interface AdmitDumpOptions {
  /** Without one there is no limit. */
  readonly space: SpaceClaim | undefined
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  readonly log: Pick<Logger, 'info'>
  /** Told every second or so that there is no room yet. */
  readonly onWait: () => void
}

/** Reserves what a dump needs, however long that takes. Returns what its process is told: undefined after an abort. */
export async function admitDump(
  needs: readonly SpaceNeed[],
  { space, signal, log, onWait }: AdmitDumpOptions,
): Promise<ChildOrder | undefined> {
  let hasWaited = false
  try {
    await space?.reserve(needs, {
      signal,
      onWait: (why) => {
        if (!hasWaited) log.info({ why }, 'the dump waits for free space')
        hasWaited = true
        onWait()
      },
    })
    if (hasWaited) log.info('there is free space now: the dump goes on')
    return { order: 'goOn' }
  } catch (error) {
    if (signal.aborted) return undefined
    if (error instanceof AttemptError) return { order: 'refuse', ...error.failure }
    const reason = error instanceof Error ? error.message : String(error)
    return { order: 'refuse', code: errnoOf(error) ?? 'INTERNAL', message: `free space could not be told: ${reason}` }
  }
}
