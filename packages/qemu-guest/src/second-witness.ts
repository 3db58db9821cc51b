import type { GuestRam } from '@ullage/host-memory'
import type { BackingRun } from '@ullage/offline-query'
import type { PfnRange } from '@ullage/pages'
import type { QmpClient } from '@ullage/qemu'
import type { Warning } from './live-warnings.ts'

/** A live guest as it is when a second witness looks at it. */
export interface LiveLook {
  readonly client: QmpClient
  /** What the host's memory itself tells. */
  readonly ram: GuestRam
  readonly signal?: AbortSignal | undefined
}

/** What a backend knows of the host's word besides the memory behind the guest's RAM. */
export interface SecondWitness extends Disposable {
  /** Called when the guest is opened, and again once it is paused. Returns what a person should know now. */
  look(at: LiveLook): Promise<readonly Warning[]>
  /** The same frames, gapless and ascending, with what the memory itself cannot tell filled in. */
  refine(runs: Iterable<BackingRun>): Iterable<BackingRun>
  /** All frames that were ballooned out at the last look, in ranges that can be given back; undefined when not all are known. */
  ballooned?(): readonly PfnRange[] | undefined
}
