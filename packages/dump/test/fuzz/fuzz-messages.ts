import type { BaseSet } from './fuzz-bases.ts'

/** What a worker is started with. `current` holds the seed it is at, one word. */
export interface WorkerStart {
  readonly set: BaseSet
  readonly current: SharedArrayBuffer
}

/** Seeds `first` to `first + count - 1`, modulo 2^32. */
export interface FuzzTask {
  readonly first: number
  readonly count: number
}

/** What came of a task. */
export interface FuzzTally {
  guests: number
  /** Guests in whose memory a kernel was found in spite of all. */
  found: number
  mutations: number
  findings: string[]
  slowestMs: number
  mostFramesRead: number
  mostSteps: number
}

export const emptyTally = (): FuzzTally => ({
  guests: 0,
  found: 0,
  mutations: 0,
  findings: [],
  slowestMs: 0,
  mostFramesRead: 0,
  mostSteps: 0,
})

export function addTally(sum: FuzzTally, more: FuzzTally): void {
  sum.guests += more.guests
  sum.found += more.found
  sum.mutations += more.mutations
  sum.findings.push(...more.findings)
  sum.slowestMs = Math.max(sum.slowestMs, more.slowestMs)
  sum.mostFramesRead = Math.max(sum.mostFramesRead, more.mostFramesRead)
  sum.mostSteps = Math.max(sum.mostSteps, more.mostSteps)
}
