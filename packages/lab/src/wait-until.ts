import { setTimeout as sleep } from 'node:timers/promises'
import { LabError } from './lab-error.ts'

export interface WaitOptions {
  /** For the message when the time is over; may tell how far it got. */
  readonly what: () => string
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** Asks again and again until the answer is true; throws a LabError when `timeoutMs` have passed. */
export async function waitUntil(condition: () => boolean | Promise<boolean>, options: WaitOptions): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new LabError(`${options.what()} after ${Math.round(options.timeoutMs / 1000)} s`)
    }
    await sleep(50, undefined, options.signal === undefined ? {} : { signal: options.signal })
  }
}
