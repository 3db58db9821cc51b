import { goneError } from './hypercall-error.ts'
import type { Hypervisor } from './hypervisor.ts'
import { type PauseRecord, removePauseRecord, type PauseStage, writePauseRecord } from './pause-record.ts'
import { settlePause } from './settle-pause.ts'

export interface GuardianParts {
  readonly hypervisor: Pick<Hypervisor, 'info' | 'pause' | 'unpause'>
  readonly record: PauseRecord
  readonly recordPath: string
  /** Text from the process that wants the domain to stand still; ends when that process does. */
  readonly input: AsyncIterable<unknown>
  /** Says a line to that process. */
  readonly say: (line: string) => void
}

/**
 * The work of the guardian: it alone makes the hypercalls that pause and unpause, so that it alone knows whether one of the
 * domain's pauses is ours. It is told, line by line, `pause`, `adopt` (another guardian had paused it and is gone) and
 * `unpause`, and answers `paused`, `adopted`, `unpaused`, or `failed` with a reason. When its input ends and a pause is
 * ours, it takes that back.
 */
export async function guardDomain({
  hypervisor,
  record: wanted,
  recordPath,
  input,
  say,
}: GuardianParts): Promise<void> {
  let record = wanted
  let stage: PauseStage | undefined
  const enter = (next: PauseStage): void => {
    stage = next
    writePauseRecord(recordPath, { ...record, stage: next })
  }
  const leave = (): void => {
    stage = undefined
    removePauseRecord(recordPath)
  }
  const orders: Record<string, () => string> = {
    pause: () => {
      if (stage) return 'paused'
      const info = hypervisor.info(record.domid)
      if (!info || info.handle !== record.handle || info.isDying) throw goneError(record.domid)
      record = { ...record, pausedBefore: info.isPaused }
      enter('pausing')
      try {
        hypervisor.pause(record.domid)
      } catch (error) {
        leave()
        throw error
      }
      enter('paused')
      return 'paused'
    },
    adopt: () => {
      enter('paused')
      return 'adopted'
    },
    unpause: () => {
      if (!stage) return 'unpaused'
      enter('unpausing')
      hypervisor.unpause(record.domid)
      leave()
      return 'unpaused'
    },
  }
  say('armed')
  for await (const line of lines(input)) {
    try {
      say(orders[line]?.() ?? `failed: expected pause, adopt or unpause, found ${line}`)
    } catch (error) {
      say(`failed: ${error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error)}`)
    }
  }
  if (!stage) return
  settlePause(hypervisor, { ...record, stage })
  removePauseRecord(recordPath)
}

async function* lines(input: AsyncIterable<unknown>): AsyncGenerator<string> {
  let text = ''
  try {
    for await (const chunk of input) {
      const parts = (text + String(chunk)).split('\n')
      text = parts.pop() ?? ''
      yield* parts
    }
  } catch (error) {
    // A broken pipe is an end like any other.
    if (!(error instanceof Error && 'code' in error && error.code === 'ECONNRESET')) throw error
  }
}
