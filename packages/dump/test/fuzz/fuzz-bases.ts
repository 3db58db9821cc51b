import { fixtureBases } from './fixture-bases.ts'
import type { FuzzBase } from './fuzz-base.ts'
import { syntheticBases } from './synthetic-bases.ts'

/** How often each synthetic guest is chosen for once that a kept one is: those are ten times as large. */
const SYNTHETIC_WEIGHT = 4

export type BaseSet = 'all' | 'synthetic'

/** The guests that are changed. Their order decides what a seed means. */
export async function fuzzBases(set: BaseSet): Promise<FuzzBase[]> {
  const synthetic = syntheticBases()
  const often = Array.from({ length: SYNTHETIC_WEIGHT }, () => synthetic).flat()
  return set === 'all' ? [...often, ...(await fixtureBases())] : often
}
