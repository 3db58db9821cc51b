import type { BackingRun } from '@ullage/offline-query'
import { type GuestTruth, MemoryGuest } from '@ullage/offline-query/conformance'
import { PfnSet, rangeBetween } from '@ullage/pages'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HOST_STATE, hostStates } from './frame-codes.ts'
import { HostStates } from './host-states.ts'
import { WINDOW_FRAMES } from './windows-of.ts'

/** RAM of a little more than a window, with a hole. */
const extents = [
  { start: 0, count: 160, name: 'ram' },
  { start: 256, count: WINDOW_FRAMES, name: 'ram' },
]
const frames = 256 + WINDOW_FRAMES
const all = rangeBetween(0, frames)

const somewhere = fc.record({
  start: fc.integer({ min: 0, max: frames - 1 }),
  count: fc.integer({ min: 1, max: 3000 }),
})

/** Disjoint runs in some states, from pieces in any order. */
const truths = fc
  .array(fc.tuple(somewhere, fc.constantFrom(...hostStates)), { maxLength: 12 })
  .map((pieces): GuestTruth => {
    const states: BackingRun[] = []
    let at = 0
    for (const [{ start, count }, state] of pieces.sort(([a], [b]) => a.start - b.start)) {
      const from = Math.max(at, start)
      if (from >= start + count) continue
      states.push({ start: from, count: start + count - from, state })
      at = start + count
    }
    return { states, content: () => new Uint8Array(4096) }
  })

const inRam = (pfn: number): boolean => pfn < 160 || (pfn >= 256 && pfn < frames)

describe('HostStates', () => {
  it('asks a costly host about all frames but those to skip, and any other as ever', async () => {
    await fc.assert(
      fc.asyncProperty(truths, fc.array(somewhere, { maxLength: 12 }), fc.boolean(), async (truth, skipped, costly) => {
        const guest = new MemoryGuest({ extents, truth, capabilities: { costly } })
        const plain = await HostStates.collect(guest.backing, extents)
        const asked = guest.asked.length
        const skip = PfnSet.of(skipped)
        for (let pfn = 160; pfn < 256; pfn++) skip.delete({ start: pfn, count: 1 })
        skip.delete({ start: frames, count: 4000 })
        const states = await HostStates.collect(guest.backing, extents, { skip })
        const [expected, found] = [new Uint8Array(frames), new Uint8Array(frames)]
        plain.fill(all, expected)
        states.fill(all, found)
        for (let pfn = 0; pfn < frames; pfn++) {
          if (!inRam(pfn)) continue
          const state = costly && skip.has(pfn) ? HOST_STATE.unknown : expected[pfn]
          if (found[pfn] !== state) throw new Error(`frame ${pfn} is ${found[pfn]}, expected ${state}`)
        }
        const again = PfnSet.of(guest.asked.slice(asked))
        expect(states.notAsked).toBe(costly ? skip.size : 0)
        expect(again.size).toBe(frames - 96 - states.notAsked)
      }),
      { numRuns: 50 },
    )
  })
})
