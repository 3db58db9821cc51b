import { FrameRuns } from './frame-runs.ts'
import { lastWins } from './last-wins.ts'

/** A map of step 1 turned round: `to` → `from`, ascending. Of several `from` for one `to` the lowest stays. */
export function invertRuns(map: FrameRuns): { runs: FrameRuns; repeated: number } {
  const turned = new FrameRuns()
  // The lowest comes last, and so replaces the others.
  for (let i = map.length - 1; i >= 0; i--) {
    const { from, to, count } = map.at(i)
    turned.addRun({ from: to, to: from, count })
  }
  const runs = lastWins(turned)
  return { runs, repeated: map.countFrames() - runs.countFrames() }
}
