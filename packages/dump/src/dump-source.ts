import type { GuestMemory } from '@ullage/offline-query'
import type { DumpPlan } from './plan-dump.ts'

/** What the pages and notes of an artifact are made from. */
export interface DumpSource {
  readonly memory: GuestMemory
  /** Its frames lie in `memory`. */
  readonly plan: DumpPlan
  readonly elfNotes: Uint8Array
}
