import type { Hypervisor } from './hypervisor.ts'
import type { PauseRecord } from './pause-record.ts'
import { bootId } from './boot-id.ts'

/**
 * What became of a pause that somebody left: `resumed` (our pause is taken back; the domain runs unless somebody else has
 * paused it as well), `notPaused`, `gone` (no such domain any more), `leftPaused` (it cannot be told whether the pause is
 * ours or that of somebody else who had one: it stays).
 */
export type PauseOutcome = 'resumed' | 'notPaused' | 'gone' | 'leftPaused'

/**
 * Takes back the pause of `record`, once, and never one of somebody else. Xen counts pauses and does not tell the count: one
 * that is known to be ours is taken back, one that may be ours only where nobody else had paused the domain before.
 */
export function settlePause(
  hypervisor: Pick<Hypervisor, 'info' | 'unpause'>,
  record: PauseRecord,
  boot: string = bootId(),
): PauseOutcome {
  const info = hypervisor.info(record.domid)
  if (!info || info.handle !== record.handle || info.isDying || boot !== record.bootId) return 'gone'
  if (!info.isPaused) return 'notPaused'
  if (record.stage !== 'paused' && record.pausedBefore) return 'leftPaused'
  return hypervisor.unpause(record.domid) ? 'resumed' : 'notPaused'
}
