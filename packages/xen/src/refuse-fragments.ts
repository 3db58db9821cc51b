import { OfflineError } from '@ullage/offline-query'
import { type FrameRuns, MAX_RUNS } from './frame-runs.ts'

/** Throws OfflineError UNSUPPORTED when `runs`, filled from `what` in the file, would take more memory than is allowed. */
export function refuseFragments(path: string, what: string, runs: FrameRuns): void {
  if (runs.length <= MAX_RUNS) return
  throw new OfflineError(
    'UNSUPPORTED',
    `expected frames in ${MAX_RUNS} runs at most, so that the map of them fits into ${(MAX_RUNS * 24) / 2 ** 20} MiB, ` +
      `${what} of ${path} has more up to frame ${runs.end - 1}: memory in so many pieces cannot be dumped`,
  )
}
