export { conformanceFailures } from './conformance-failures.ts'
export type {
  ConformanceFixture,
  ConformanceOptions,
  ConformanceRunner,
  GuestTruth,
} from './conformance-fixture.ts'
export { memoryFixture, MemoryGuest, type MemoryGuestOptions } from './memory-guest.ts'
export { offlineQueryConformance } from './offline-query-conformance.ts'
