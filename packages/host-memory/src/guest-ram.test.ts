import { endOf } from '@ullage/pages'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { GuestRam, type RamRegion } from './guest-ram.ts'
import { HostMemoryError } from './host-memory-error.ts'
import { type BackingBytes, type BackingState, checkInside, maximalRuns, type RamSource } from './ram-source.ts'

const GIB = 2 ** 30

/** A source whose content at each 8 bytes is the offset there plus `tag`, and whose state is told by a function. */
function madeUpSource(sizeBytes: number, tag: number, granularityBytes: number, state: (unit: number) => BackingState) {
  const disposed = { times: 0 }
  function* states(startBytes: number, endBytes: number): Generator<BackingBytes> {
    for (let at = startBytes; at < endBytes; ) {
      const unit = Math.floor(at / granularityBytes)
      const end = Math.min(endBytes, (unit + 1) * granularityBytes)
      yield { startBytes: at, endBytes: end, state: state(unit) }
      at = end
    }
  }
  const source: RamSource = {
    kind: 'sharedFile',
    about: `source ${tag}`,
    sizeBytes,
    granularityBytes,
    tellsSwapped: true,
    backing(within) {
      checkInside(within, sizeBytes)
      return maximalRuns(states(within.startBytes, within.endBytes))
    },
    read(offsetBytes, into) {
      checkInside({ startBytes: offsetBytes, endBytes: offsetBytes + into.length }, sizeBytes)
      const view = new DataView(into.buffer, into.byteOffset, into.byteLength)
      for (let i = 0; i < into.length; i += 8) view.setFloat64(i, offsetBytes + i + tag / 16, true)
    },
    figures: () => ({ backedBytes: tag, residentBytes: tag }),
    [Symbol.dispose]: () => {
      disposed.times++
    },
  }
  return { source, disposed }
}

/**
 * Where the frames of a guest with several regions lie, as QEMU's q35 lays them out: one source split below 4 GiB, the rest
 * above, then a second one somewhere beyond.
 */
const layouts = fc
  .record({
    below: fc.integer({ min: 1, max: 0xb_0000 }),
    above: fc.integer({ min: 1, max: 0x40_0000 }),
    gap: fc.integer({ min: 0, max: 0x4_0000 }),
    extra: fc.integer({ min: 1, max: 0x1_0000 }),
    extraOffset: fc.integer({ min: 0, max: 1000 }),
    order: fc.shuffledSubarray([0, 1, 2], { minLength: 3, maxLength: 3 }),
  })
  .map(({ below, above, gap, extra, extraOffset, order }) => {
    const ram = madeUpSource((below + above) * 4096, 1, 4096, () => 'backed').source
    const device = madeUpSource((extra + extraOffset) * 4096, 2, 4096, () => 'backed').source
    const aboveStart = 2 ** 20
    const deviceStart = aboveStart + above + gap
    const regions: RamRegion[] = [
      { name: 'ram0', gpaBytes: 0, sizeBytes: below * 4096, source: ram, sourceOffsetBytes: 0 },
      { name: 'ram0', gpaBytes: 4 * GIB, sizeBytes: above * 4096, source: ram, sourceOffsetBytes: below * 4096 },
      {
        name: 'vmem0',
        gpaBytes: deviceStart * 4096,
        sizeBytes: extra * 4096,
        source: device,
        sourceOffsetBytes: extraOffset * 4096,
      },
    ]
    const truth = (pfn: number): number | undefined => {
      if (pfn < below) return pfn * 4096 + 1 / 16
      if (pfn >= aboveStart && pfn < aboveStart + above) return (pfn - aboveStart + below) * 4096 + 1 / 16
      if (pfn >= deviceStart && pfn < deviceStart + extra) return (pfn - deviceStart + extraOffset) * 4096 + 2 / 16
      return undefined
    }
    const edges = [0, below, aboveStart, aboveStart + above, deviceStart, deviceStart + extra]
    return { regions: order.map((i) => regions[i] as RamRegion), truth, edges, below, above, extra, deviceStart }
  })

test('every frame of a guest split at 4 GiB is read from where it lies, at the edges and between', () => {
  fc.assert(
    fc.property(layouts, fc.double({ min: 0, max: 1, noNaN: true }), ({ regions, truth, edges }, where) => {
      const ram = new GuestRam(regions)
      const last = (edges.at(-1) as number) + 1
      const candidates = [...edges.flatMap((edge) => [edge - 1, edge, edge + 1]), Math.floor(where * last)]
      const page = new Uint8Array(4096)
      for (const pfn of candidates.filter((each) => each >= 0)) {
        const expected = truth(pfn)
        if (expected === undefined) {
          expect(() => ram.read({ start: pfn, count: 1 }, page)).toThrow(RangeError)
        } else {
          ram.read({ start: pfn, count: 1 }, page)
          expect(new DataView(page.buffer).getFloat64(0, true)).toBe(expected)
          expect(new DataView(page.buffer).getFloat64(4088, true)).toBe(expected + 4088)
        }
        const state = [...ram.backing({ start: pfn, count: 1 })]
        expect(state).toEqual([{ start: pfn, count: 1, state: expected === undefined ? 'unbacked' : 'backed' }])
      }
    }),
    { numRuns: 300 },
  )
})

test('a range over two regions that touch is read in one go, one over a gap is refused', () => {
  fc.assert(
    fc.property(layouts, ({ regions, truth, deviceStart, above }) => {
      const ram = new GuestRam(regions)
      const page = new Uint8Array(2 * 4096)
      const range = { start: deviceStart - 1, count: 2 }
      if (truth(range.start) === undefined) {
        expect(() => ram.read(range, page)).toThrow(RangeError)
      } else {
        ram.read(range, page)
        expect(new DataView(page.buffer).getFloat64(0, true)).toBe(truth(range.start))
        expect(new DataView(page.buffer).getFloat64(4096, true)).toBe(truth(range.start + 1))
      }
      expect(() => ram.read({ start: 2 ** 20, count: 1 }, new Uint8Array(4095))).toThrow(RangeError)
      expect(ram.extents.map((extent) => extent.count)).toContain(above)
    }),
    { numRuns: 50 },
  )
})

const states: BackingState[] = ['unbacked', 'backed', 'swapped', 'unknown']

test('the state of a frame is the strongest of its bytes, over random granularities and offsets', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...states), { minLength: 40, maxLength: 40 }),
      fc.constantFrom(512, 1000, 4096, 6000, 16_384, 65_536),
      fc.constantFrom(4096, 16_384),
      fc.integer({ min: 0, max: 5000 }),
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 12 }),
      (unitStates, granularity, frameBytes, offset, start, count) => {
        const size = offset + 8 * frameBytes
        const { source } = madeUpSource(size, 1, granularity, (unit) => unitStates[unit % 40] as BackingState)
        const gpaBytes = 2 * frameBytes
        const ram = new GuestRam(
          [{ name: 'ram0', gpaBytes, sizeBytes: 8 * frameBytes, source, sourceOffsetBytes: offset }],
          { frameBytes },
        )
        const naive: BackingState[] = []
        for (let pfn = start; pfn < start + count; pfn++) {
          let strongest: BackingState = 'unbacked'
          const bytes = pfn >= 2 && pfn < 10 ? frameBytes : 0
          for (let i = 0; i < bytes; i++) {
            const unit = Math.floor((offset + (pfn - 2) * frameBytes + i) / granularity)
            const state = unitStates[unit % 40] as BackingState
            if (states.indexOf(state) > states.indexOf(strongest)) strongest = state
          }
          naive.push(strongest)
        }
        const runs = [...ram.backing({ start, count })]
        expect(runs.flatMap((run) => Array.from({ length: run.count }, () => run.state))).toEqual(naive)
        runs.forEach((run, i) => {
          const next = runs[i + 1]
          if (next) {
            expect(next.start).toBe(endOf(run))
            expect(next.state).not.toBe(run.state)
          }
        })
        expect(runs[0]?.start ?? start).toBe(start)
      },
    ),
    { numRuns: 300 },
  )
})

test('regions that overlap, are not aligned or lie outside their source are refused with names and numbers', () => {
  const { source } = madeUpSource(8 * 4096, 1, 4096, () => 'backed')
  const region = (over: Partial<RamRegion>): RamRegion => ({
    name: 'ram0',
    gpaBytes: 0,
    sizeBytes: 4 * 4096,
    source,
    sourceOffsetBytes: 0,
    ...over,
  })
  const refusal = (...regions: RamRegion[]): string => {
    try {
      return new GuestRam(regions).extents.length > 0 ? 'accepted' : 'empty'
    } catch (error) {
      if (error instanceof HostMemoryError && error.code === 'INVALID') return error.message
      throw error
    }
  }
  expect(refusal(region({}), region({ name: 'vmem0', gpaBytes: 4 * 4096 }))).toBe('accepted')
  expect(refusal(region({ name: 'vmem0', gpaBytes: 3 * 4096 }), region({}))).toBe(
    'guest memory overlaps itself: ram0 at guest physical [0x0, 0x4000) and vmem0 at guest physical [0x3000, 0x7000)',
  )
  expect(refusal(region({ gpaBytes: 100 }))).toContain('does not start and end at multiples of 4096 bytes')
  expect(refusal(region({ sizeBytes: 100 }))).toContain('does not start and end at multiples of 4096 bytes')
  expect(refusal(region({ sourceOffsetBytes: 5 * 4096 }))).toBe(
    'ram0 at guest physical [0x0, 0x4000) should be at byte 20480 of source 1, which has 32768 bytes',
  )
  for (const wrong of [
    { sizeBytes: 0 },
    { gpaBytes: -4096 },
    { gpaBytes: 2 ** 53 - 4096 },
    { sizeBytes: Number.NaN },
  ]) {
    expect(refusal(region(wrong))).toContain('is not a range of guest memory')
  }
})

test('a failed read names the frame', () => {
  const { source } = madeUpSource(8 * 4096, 1, 4096, () => 'backed')
  const failing: RamSource = {
    ...source,
    read(offsetBytes, into) {
      const bad = 5 * 4096 + 17
      if (offsetBytes <= bad && bad < offsetBytes + into.length) {
        throw new HostMemoryError('UNREADABLE', `byte ${bad} cannot be read`, { offsetBytes: bad })
      }
    },
  }
  const ram = new GuestRam([
    { name: 'ram0', gpaBytes: 4 * GIB, sizeBytes: 7 * 4096, source: failing, sourceOffsetBytes: 4096 },
  ])
  ram.read({ start: 2 ** 20, count: 4 }, new Uint8Array(4 * 4096))
  const act = (): void => ram.read({ start: 2 ** 20 + 1, count: 6 }, new Uint8Array(6 * 4096))
  expect(act).toThrow(expect.objectContaining({ code: 'UNREADABLE', pfn: 2 ** 20 + 4, offsetBytes: 5 * 4096 + 17 }))
  expect(act).toThrow(`frame ${2 ** 20 + 4} of ram0: byte 20497 cannot be read`)
})

test('a source behind two regions counts once, and is disposed once', () => {
  const { source, disposed } = madeUpSource(8 * 4096, 3, 4096, () => 'backed')
  const other = madeUpSource(4096, 5, 4096, () => 'backed')
  const ram = new GuestRam([
    { name: 'ram0', gpaBytes: 0, sizeBytes: 4 * 4096, source, sourceOffsetBytes: 0 },
    { name: 'ram0', gpaBytes: 4 * GIB, sizeBytes: 4 * 4096, source, sourceOffsetBytes: 4 * 4096 },
    { name: 'vmem0', gpaBytes: 8 * GIB, sizeBytes: 4096, source: other.source, sourceOffsetBytes: 0 },
  ])
  expect(ram.figures()).toEqual({ backedBytes: 8, residentBytes: 8 })
  ram[Symbol.dispose]()
  expect([disposed.times, other.disposed.times]).toEqual([1, 1])
})

test('a question about the far end of the address space is answered at once', () => {
  const { source } = madeUpSource(4096, 1, 4096, () => 'swapped')
  const ram = new GuestRam([{ name: 'ram0', gpaBytes: 2 ** 51, sizeBytes: 4096, source, sourceOffsetBytes: 0 }])
  expect([...ram.backing({ start: 0, count: 2 ** 40 })]).toEqual([
    { start: 0, count: 2 ** 39, state: 'unbacked' },
    { start: 2 ** 39, count: 1, state: 'swapped' },
    { start: 2 ** 39 + 1, count: 2 ** 39 - 1, state: 'unbacked' },
  ])
  expect([...ram.backing({ start: 5, count: 0 })]).toEqual([])
})
