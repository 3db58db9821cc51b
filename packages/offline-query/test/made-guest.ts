import {
  type ConformanceFixture,
  conformanceFailures,
  type GuestTruth,
  memoryFixture,
  type MemoryGuest,
} from '../src/conformance/index.ts'
import type { MemoryGuestOptions } from '../src/conformance/memory-guest.ts'

export const FOUR_GIB = 2 ** 20
export const FRAME_BYTES = 4096

/** RAM below 1 MiB and from there on, split above 4 GiB, and a device's memory that touches the last part. */
export const extents = [
  { start: 0, count: 160, name: 'ram0' },
  { start: 256, count: 1024, name: 'ram0' },
  { start: FOUR_GIB, count: 512, name: 'ram0' },
  { start: FOUR_GIB + 512, count: 256, name: 'vmem0' },
]

export const truth: GuestTruth = {
  states: [
    { start: 0, count: 160, state: 'backed' },
    { start: 256, count: 300, state: 'backed' },
    { start: 600, count: 40, state: 'swapped' },
    { start: 640, count: 16, state: 'backed' },
    { start: 700, count: 580, state: 'unknown' },
    { start: FOUR_GIB, count: 100, state: 'backed' },
    { start: FOUR_GIB + 300, count: 300, state: 'backed' },
    { start: FOUR_GIB + 700, count: 68, state: 'swapped' },
  ],
  content: (pfn) => frameOf(pfn),
  unreadable: [
    { start: 300, count: 1 },
    { start: FOUR_GIB + 310, count: 2 },
  ],
}

/** A frame that says which one it is, in every eight bytes of it. */
function frameOf(pfn: number): Uint8Array {
  return new Uint8Array(new Float64Array(FRAME_BYTES / 8).fill(pfn + 0.25).buffer)
}

export type GuestClass = new (options: MemoryGuestOptions) => MemoryGuest

export const suiteOf = (Guest: GuestClass, capabilities: MemoryGuestOptions['capabilities'] = {}) => ({
  name: Guest.name,
  open: async (): Promise<ConformanceFixture> => memoryFixture(new Guest({ extents, truth, capabilities }), truth),
  openFailing: async (): Promise<ConformanceFixture> =>
    memoryFixture(new Guest({ extents, truth, capabilities, failsAt: FOUR_GIB + 50 }), truth),
})

/** The tests that fail for a guest of class `Guest`, of those whose group and name fit `test`. */
export async function failuresOf(Guest: GuestClass, test: RegExp): Promise<string[]> {
  return (await conformanceFailures(suiteOf(Guest))).filter((name) => test.test(name))
}
