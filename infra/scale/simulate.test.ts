import { expect, test } from 'vitest'
import { quantile, shareOut, simulateFleet } from './simulate-fleet.ts'
import { simulateGuest, transferMs, type UnitCosts } from './simulate-guest.ts'

const GIB = 2 ** 30
const costs: UnitCosts = {
  startMs: 100,
  classifyMsPerGib: 2,
  classifyCpuMsPerGib: 3,
  writeCpuMsPerGib: 4000,
  readMsPerGib: 250,
  verifyCpuMsPerGib: 2000,
  hashMsPerGib: 600,
  bytesOut: 0.5,
  peakBytes: 300e6,
  peakGib: 1024,
  bitsPerFrame: 4,
}
const guest = { gib: 2048, writtenShare: 0.125, jobs: 4, memoryBytes: 256 * 2 ** 20 }

test('a guest whose pages do not fit stays paused until all are written', () => {
  // 256 GiB of pages, 1024 s of CPU for writing and 512 s for verifying, by four; 128 GiB of file hashed in 76.8 s.
  expect(simulateGuest(guest, costs)).toEqual({
    writtenBytes: 256 * GIB,
    artifactBytes: 128 * GIB,
    classifyMs: 4096,
    writeMs: 256_000,
    verifyMs: 128_000,
    totalMs: 100 + 4096 + 256_000 + 128_000,
    pausedMs: 4096 + 256_000,
    cpuMs: 6144 + 1_024_000 + 512_000,
    // 1 TiB more than was measured: 2^28 frames of 4 bits.
    peakBytes: 300e6 + 2 ** 27,
  })
})

test('more jobs than one reader can feed, or one hash can follow, win nothing', () => {
  const { writeMs, verifyMs } = simulateGuest({ ...guest, jobs: 1000 }, costs)
  expect({ writeMs, verifyMs }).toEqual({ writeMs: 256 * 250, verifyMs: 128 * 600 })
})

test('pages that fit are copied while the guest stands', () => {
  const shape = { gib: 1, writtenShare: 0.125, jobs: 4, memoryBytes: 128 * 2 ** 20 }
  expect(simulateGuest(shape, costs).pausedMs).toBe(2 + 0.125 * 250)
  expect(simulateGuest({ ...shape, memoryBytes: shape.memoryBytes - 1 }, costs).pausedMs).toBe(2 + 125)
})

test('a gigabyte takes a second at 8 Gbit/s', () => {
  expect(transferMs(1e9, 8)).toBe(1000)
})

test('what one leaves of its share the others get', () => {
  expect(shareOut([10, 1, 10], 9)).toEqual([4, 1, 4])
  expect(shareOut([1, 2], 100)).toEqual([1, 2])
  expect(shareOut([], 5)).toEqual([])
})

const ample = { concurrency: 1, storageRate: 1e9, dumpRate: 1e9 }

test('dumps of one host wait for each other, those of another do not', () => {
  const requests = [0, 0, 0, 1].map((host) => ({ atMs: 0, host }))
  const outcome = simulateFleet(requests, { ...ample, stages: [{ ms: 1000, bytes: 0 }] })
  expect(outcome.waitsMs).toEqual([0, 1000, 2000, 0])
  expect(outcome).toMatchObject({
    endMs: 3000,
    mostRunning: 2,
    mostWaiting: 2,
    waitedMs: 3000,
    ranMs: 4000,
    linkUse: 0,
  })
})

test('two at a time on one host', () => {
  const requests = [0, 0, 0].map((atMs) => ({ atMs, host: 0 }))
  const outcome = simulateFleet(requests, { ...ample, concurrency: 2, stages: [{ ms: 1000, bytes: 0 }] })
  expect(outcome.waitsMs).toEqual([0, 0, 1000])
  expect(outcome.endMs).toBe(2000)
})

test('a dump asked for later, out of order in the list, waits for what is left of the first', () => {
  const requests = [
    { atMs: 600, host: 0 },
    { atMs: 0, host: 0 },
    { atMs: 5000, host: 0 },
  ]
  const outcome = simulateFleet(requests, { ...ample, stages: [{ ms: 1000, bytes: 0 }] })
  expect(outcome.waitsMs).toEqual([400, 0, 0])
  expect(outcome).toMatchObject({ endMs: 6000, mostRunning: 1, mostWaiting: 1, waitedMs: 400, ranMs: 3000 })
})

test('a shared storage makes both dumps longer, and the link is never idle', () => {
  // Each could move its 1000 bytes in 100 ms; together they get 10 bytes a millisecond.
  const shape = { concurrency: 1, storageRate: 10, dumpRate: 100, stages: [{ ms: 100, bytes: 1000 }] }
  const outcome = simulateFleet(
    [0, 1].map((host) => ({ atMs: 0, host })),
    shape,
  )
  expect(outcome.endMs).toBeCloseTo(200)
  expect(outcome.linkUse).toBeCloseTo(1)
})

test('who comes while another moves its bytes takes half of the link from then on', () => {
  // A alone for 50 ms: 500 of 1000 bytes. Both at 5: A ends at 150. B has 500 left, alone at 10: ends at 200.
  const shape = { concurrency: 1, storageRate: 10, dumpRate: 100, stages: [{ ms: 0, bytes: 1000 }] }
  const requests = [0, 50].map((atMs, host) => ({ atMs, host }))
  const outcome = simulateFleet(requests, shape)
  expect(outcome.endMs).toBeCloseTo(200)
  expect(outcome.ranMs).toBeCloseTo(150 + 150)
})

test("one dump is held by its host's link", () => {
  const shape = {
    concurrency: 1,
    storageRate: 100,
    dumpRate: 4,
    stages: [
      { ms: 10, bytes: 0 },
      { ms: 100, bytes: 1000 },
    ],
  }
  expect(simulateFleet([{ atMs: 0, host: 0 }], shape)).toMatchObject({ endMs: 260, linkUse: 1000 / 100 / 260 })
})

test('quantiles are values that were there', () => {
  expect(quantile([3, 1, 2, 4], 0.5)).toBe(2)
  expect(quantile([3, 1, 2, 4], 0.99)).toBe(4)
  expect(quantile([7], 0)).toBe(7)
  expect(quantile([], 0.5)).toBeNaN()
})
