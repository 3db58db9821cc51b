import assert from 'node:assert/strict'
import { readSync } from 'node:fs'
import { endOf, intersect, type PfnRange } from '@ullage/pages'
import type { FilePiece, GuestMemory } from '../open-guest.ts'
import type { ConformanceFixture, ConformanceOptions, ConformanceRunner, GuestTruth } from './conformance-fixture.ts'
import { expectedRuns, trueState } from './expected-runs.ts'
import { edgesOf, sample, wholeSpace } from './windows.ts'
import { collectRuns, describeError, isOfflineError, thrownBy, withFixture } from './with-fixture.ts'

const LONG_READ = 64
const MAX_FRAMES = 256
const UNTOUCHED = 0xa5

/** The rules of `GuestMemory`. */
export function readingChecks({ describe, it }: ConformanceRunner, { open }: ConformanceOptions): void {
  const check = (name: string, body: (fixture: ConformanceFixture) => Promise<void>) =>
    it(name, () => withFixture(open, body))

  describe('guest memory', () => {
    check('is made of ascending, disjoint extents of frames', async ({ guest }) => {
      const { frameBytes, extents, notDumped } = guest.memory
      assert.ok(frameBytes >= 512 && Number.isInteger(Math.log2(frameBytes)), `frameBytes ${frameBytes}`)
      assert.ok(extents.length > 0, 'there is guest RAM')
      let end = 0
      for (const extent of extents) {
        assert.ok(Number.isSafeInteger(extent.start) && Number.isSafeInteger(extent.count) && extent.count > 0)
        assert.ok(extent.start >= end, `extent at ${extent.start} begins before ${end}`)
        assert.equal(typeof extent.name, 'string')
        end = endOf(extent)
      }
      for (const { startBytes, sizeBytes } of notDumped) assert.ok(startBytes >= 0 && sizeBytes > 0)
    })

    check('has the true content on both sides of every edge of extents and runs', async ({ guest, truth }) => {
      const frames = framesAtEdges(guest.memory, truth)
      assert.ok(frames.length > 0, 'the fixture has frames that can be read')
      for (const pfn of frames) {
        const found = readInto(guest.memory, { start: pfn, count: 1 })
        assert.ok(equal(found, truth.content(pfn)), `content of frame ${pfn} (0x${pfn.toString(16)})`)
      }
    })

    check('fills all of the buffer and nothing beside it, in reads of many frames', async ({ guest, truth }) => {
      for (const range of longRanges(guest.memory, truth)) {
        const found = readInto(guest.memory, range)
        const expected = Buffer.concat(Array.from({ length: range.count }, (_, i) => truth.content(range.start + i)))
        assert.ok(equal(found, expected), `content of frames [${range.start}, ${endOf(range)})`)
      }
    })

    check('has the same content in the files that it names', async ({ guest, truth }) => {
      for (const range of longRanges(guest.memory, truth)) {
        const pieces = guest.memory.filePieces?.(range)
        if (!pieces) continue
        const found = Buffer.concat(pieces.map(readPiece))
        assert.ok(equal(found, readInto(guest.memory, range)), `content of frames [${range.start}, ${endOf(range)})`)
      }
    })

    check('refuses frames outside RAM with RangeError', async ({ guest }) => {
      for (const range of rangesOutside(guest.memory)) {
        const into = new Uint8Array(range.count * guest.memory.frameBytes)
        const error = await thrownBy(() => guest.memory.read(range, into))
        assert.ok(error instanceof RangeError, `[${range.start}, ${endOf(range)}) gave ${describeError(error)}`)
      }
    })

    check('refuses a buffer that does not fit the range', async ({ guest, truth }) => {
      const [pfn] = framesAtEdges(guest.memory, truth)
      const range = { start: pfn as number, count: 1 }
      for (const size of [0, guest.memory.frameBytes - 1, guest.memory.frameBytes + 1]) {
        const error = await thrownBy(() => guest.memory.read(range, new Uint8Array(size)))
        assert.ok(error instanceof RangeError, `a buffer of ${size} bytes gave ${describeError(error)}`)
      }
    })

    check('throws for a frame that it cannot give, and names it', async ({ guest, truth }) => {
      for (const { start } of truth.unreadable ?? []) {
        for (const range of readableAround(guest.memory, truth, start)) {
          const into = new Uint8Array(range.count * guest.memory.frameBytes)
          const error = await thrownBy(() => guest.memory.read(range, into))
          const right = isOfflineError(error) && error.code === 'UNREADABLE'
          assert.ok(right, `frame ${start} gave ${describeError(error)}`)
          const named = new RegExp(`\\b(${start}|0x${start.toString(16)})\\b`).test(error.message)
          assert.ok(named, `expected the name of frame ${start}, found: ${error.message}`)
        }
      }
    })

    check('shows unbacked frames as promised', async ({ guest, truth }) => {
      const { unbackedReads } = guest.backing.capabilities
      for (const pfn of unbackedFrames(guest.memory, truth)) {
        const into = new Uint8Array(guest.memory.frameBytes).fill(UNTOUCHED)
        const error = await thrownBy(() => guest.memory.read({ start: pfn, count: 1 }, into))
        if (error !== undefined) assert.ok(isOfflineError(error), `frame ${pfn} gave ${describeError(error)}`)
        else {
          assert.equal(unbackedReads, 'zeros', `frame ${pfn} was given, though unbacked reads are ${unbackedReads}`)
          assert.ok(
            into.every((byte) => byte === 0),
            `frame ${pfn} is unbacked and has content`,
          )
        }
      }
    })

    check('is not changed by being read', async ({ guest, truth }) => {
      const within = wholeSpace(guest.memory.extents)
      const before = await guest.hostMemory()
      for (const range of longRanges(guest.memory, truth)) readInto(guest.memory, range)
      for (const pfn of unbackedFrames(guest.memory, truth)) {
        await thrownBy(() => guest.memory.read({ start: pfn, count: 1 }, new Uint8Array(guest.memory.frameBytes)))
      }
      const runs = await collectRuns(guest.backing, within)
      assert.deepEqual(runs, expectedRuns(truth, within, guest.backing.capabilities))
      assert.equal((await guest.hostMemory()).backedBytes, before.backedBytes, 'backed bytes')
    })
  })
}

function readPiece({ fd, offsetBytes, sizeBytes }: FilePiece): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  assert.equal(readSync(fd, bytes, 0, sizeBytes, offsetBytes), sizeBytes, `bytes at ${offsetBytes} of a file`)
  return bytes
}

/** Reads into the middle of a larger buffer and checks that what stands around it stays. */
function readInto(memory: GuestMemory, range: PfnRange): Uint8Array {
  const margin = 24
  const size = range.count * memory.frameBytes
  const large = new Uint8Array(size + 2 * margin).fill(UNTOUCHED)
  memory.read(range, large.subarray(margin, margin + size))
  const outside = [...large.subarray(0, margin), ...large.subarray(margin + size)]
  assert.ok(
    outside.every((byte) => byte === UNTOUCHED),
    `the read of [${range.start}, ${endOf(range)}) left its buffer`,
  )
  return large.subarray(margin, margin + size)
}

function isReadable(truth: GuestTruth, pfn: number): boolean {
  const broken = truth.unreadable?.some((range) => range.start <= pfn && pfn < endOf(range))
  return !broken && trueState(truth, pfn) !== 'unbacked'
}

/** Runs of frames that can be read, each inside one run of the truth and one extent. */
function readableRanges(memory: GuestMemory, truth: GuestTruth): PfnRange[] {
  const found: PfnRange[] = []
  for (const run of truth.states) {
    if (run.state === 'unbacked') continue
    for (const extent of memory.extents) {
      const inside = intersect(run, extent)
      if (inside) found.push(...without(inside, truth.unreadable ?? []))
    }
  }
  return found
}

function without(range: PfnRange, holes: readonly PfnRange[]): PfnRange[] {
  let parts = [range]
  for (const hole of holes) {
    parts = parts.flatMap((part) => {
      const before = { start: part.start, count: Math.min(part.count, hole.start - part.start) }
      const after = { start: endOf(hole), count: endOf(part) - endOf(hole) }
      if (!intersect(part, hole)) return [part]
      return [before, after].filter(({ count }) => count > 0)
    })
  }
  return parts
}

/** Frames beside edges, those at the ends of what can be read in each extent, and some between. */
function framesAtEdges(memory: GuestMemory, truth: GuestTruth): number[] {
  const ranges = readableRanges(memory, truth)
  const ends = memory.extents.flatMap((extent) => {
    const inside = ranges.filter((range) => intersect(range, extent))
    const [first, last] = [inside[0], inside.at(-1)]
    return first && last ? [first.start, endOf(last) - 1] : []
  })
  const beside = edgesOf(memory.extents, truth).flatMap((edge) => [edge - 1, edge])
  const between = sample(ranges, MAX_FRAMES / 2).map((range) => range.start + Math.floor(range.count / 2))
  const inRam = (pfn: number): boolean => memory.extents.some((extent) => extent.start <= pfn && pfn < endOf(extent))
  const frames = [...ends, ...beside, ...between].filter((pfn) => inRam(pfn) && isReadable(truth, pfn))
  return [...new Set(frames)]
}

/** Ranges of many frames that can be read, also across the border of two extents that touch. */
function longRanges(memory: GuestMemory, truth: GuestTruth): PfnRange[] {
  const ranges = sample(readableRanges(memory, truth), 32).map(({ start, count }) => ({
    start,
    count: Math.min(count, LONG_READ),
  }))
  memory.extents.forEach((extent, i) => {
    const border = endOf(extent)
    const touches = memory.extents[i + 1]?.start === border
    if (touches && isReadable(truth, border - 1) && isReadable(truth, border))
      ranges.push({ start: border - 1, count: 2 })
  })
  return ranges
}

function rangesOutside({ extents }: GuestMemory): PfnRange[] {
  const ranges: PfnRange[] = []
  extents.forEach((extent, i) => {
    const before = i === 0 ? 0 : endOf(extents[i - 1] as PfnRange)
    if (extent.start > before) {
      ranges.push(
        { start: extent.start - 1, count: 1 },
        { start: extent.start - 1, count: 2 },
        { start: before, count: 1 },
      )
    }
    const next = extents[i + 1]?.start
    if (next !== endOf(extent)) ranges.push({ start: endOf(extent) - 1, count: 2 }, { start: endOf(extent), count: 1 })
  })
  return [...ranges, { start: 2 ** 40, count: 1 }]
}

/** The frame alone, and in the middle of frames that can be read. */
function readableAround(memory: GuestMemory, truth: GuestTruth, pfn: number): PfnRange[] {
  const around = isReadable(truth, pfn - 1) && isReadable(truth, pfn + 1)
  const inside = memory.extents.some((extent) => extent.start < pfn && pfn + 1 < endOf(extent))
  return [{ start: pfn, count: 1 }, ...(around && inside ? [{ start: pfn - 1, count: 3 }] : [])]
}

function unbackedFrames(memory: GuestMemory, truth: GuestTruth): number[] {
  const frames = memory.extents.flatMap((extent) => {
    const within = { start: extent.start, count: extent.count }
    const capabilities = { granularity: 1, snapshot: true, tellsSwapped: true, unbackedReads: 'zeros' } as const
    const runs = expectedRuns(truth, within, capabilities).filter((run) => run.state === 'unbacked')
    return runs.flatMap((run) => [run.start, endOf(run) - 1])
  })
  return sample(frames, 64)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
