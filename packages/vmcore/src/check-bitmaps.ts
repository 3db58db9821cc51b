import { endOf, type PfnRange } from '@ullage/pages'
import type { Vmcore } from './vmcore.ts'
import { VmcoreError } from './vmcore-error.ts'

/**
 * Checks that every stored frame is present, walking both bitmaps side by side, and returns the number of frames that
 * are present and not stored. Throws VmcoreError CORRUPT naming the first frame that is not.
 */
export async function checkBitmaps(vmcore: Vmcore, signal: AbortSignal | undefined): Promise<number> {
  const options = signal ? { signal } : {}
  const stored = vmcore.stored(options)[Symbol.asyncIterator]()
  let presentFrames = 0
  let storedFrames = 0
  let run: PfnRange | undefined = (await stored.next()).value
  for await (const within of vmcore.present(options)) {
    presentFrames += within.count
    while (run && run.start < endOf(within)) {
      if (run.start < within.start) throw notPresent(run.start)
      if (endOf(run) > endOf(within)) throw notPresent(endOf(within))
      storedFrames += run.count
      run = (await stored.next()).value
    }
  }
  if (run) throw notPresent(run.start)
  return presentFrames - storedFrames
}

function notPresent(pfn: number): VmcoreError {
  return new VmcoreError('CORRUPT', `pfn 0x${pfn.toString(16)} is stored (bitmap 2) but is no guest memory (bitmap 1)`)
}
