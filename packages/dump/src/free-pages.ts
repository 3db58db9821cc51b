import type { DumpPlan } from './plan-dump.ts'
import { countFrames, type Warning } from './report.ts'

/** Frames with a struct page of a guest that has free ones for sure: the kernel keeps some back in each zone. */
const FEWEST_FRAMES = 2 ** 14

/**
 * A warning where no frame of a guest's is free. When the kernel began to store page types otherwise, filters that had not
 * heard of it found no free page any more, and left nothing out without a word.
 */
export function freePagesWarnings(plan: DumpPlan): Warning[] {
  const { total, byClass } = countFrames(plan)
  const framesOf = (states: Readonly<Record<string, number>>) => Object.values(states).reduce((sum, n) => sum + n, 0)
  const told = total - framesOf(byClass.noStructPage) - framesOf(byClass.unknown)
  if (told < FEWEST_FRAMES || framesOf(byClass.free) > 0) return []
  const text = `none of ${told} frames is free by the guest's own word, which no kernel lets happen: it may store page types in a way that is not known here; the dump is larger than need be`
  return [{ code: 'NO_FREE_PAGES', text }]
}
