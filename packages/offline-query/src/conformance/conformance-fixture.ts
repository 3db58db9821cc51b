import type { PfnRange } from '@ullage/pages'
import type { BackingRun } from '../offline-query.ts'
import type { OpenGuest } from '../open-guest.ts'

/** The part of a test runner that the suite needs; vitest, node:test, mocha and jest all have it. */
export interface ConformanceRunner {
  describe(name: string, body: () => void): void
  it(name: string, body: () => Promise<void>): void
}

/** What is true of a guest, found out without the backend under test. */
export interface GuestTruth {
  /**
   * Host state of frames of guest RAM, ascending and disjoint; frames in none of them are `unbacked`. `swapped` is what it
   * is, also when the backend does not promise to tell it from `backed`.
   */
  readonly states: readonly BackingRun[]
  /** Content of one frame that is `backed`, `swapped` or `unknown`: frameBytes bytes. */
  content(pfn: number): Uint8Array
  /** Frames that the host holds and cannot give: `read` must throw UNREADABLE for them. */
  readonly unreadable?: readonly PfnRange[]
}

/** One guest, opened for one test, standing still. */
export interface ConformanceFixture {
  readonly guest: OpenGuest
  readonly truth: GuestTruth
  /** How many things (descriptors, cursors, handles) the backend holds open now. With it, leaks are looked for. */
  heldOpen?(): number
  /**
   * Frames that the hypervisor has been asked about since the guest was opened, in the order of asking: a list that only
   * grows. With it, it is tested that a `costly` backend asks about no frame it may skip. Where a `costly` backend's fixture
   * lacks it, the guest must have `hypervisor`, whose `questions` may then not grow while all frames are skipped.
   */
  asked?(): readonly PfnRange[]
  /** Called after each test, whose guest has been disposed of. */
  dispose?(): Promise<void>
}

export interface ConformanceOptions {
  readonly name: string
  /** Opens the guest anew. Its RAM must have at least two states and a frame that can be read. */
  open(): Promise<ConformanceFixture>
  /** Opens a guest whose `backing` fails somewhere in its RAM. With it, it is tested that the error comes out. */
  openFailing?(): Promise<ConformanceFixture>
}
