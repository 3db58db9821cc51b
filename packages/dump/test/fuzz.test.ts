import { LinuxGuestError, openLinuxGuest } from '@ullage/linux-guest'
import { beforeAll, describe, expect, test } from 'vitest'
import { fuzzBases } from './fuzz/fuzz-bases.ts'
import type { FuzzBase } from './fuzz/fuzz-base.ts'
import { runFleet } from './fuzz/fuzz-fleet.ts'
import type { FuzzGuest } from './fuzz/fuzz-guest.ts'
import { FuzzFinding, runGuest, type Subject } from './fuzz/run-guest.ts'

/** Enough for each kind of change to meet each guest. The long test has many more. */
const GUESTS = 300
const SEED = 20_261_121

test('no change to a guest makes its examination fail, hang, or read what it must not', async () => {
  const result = await runFleet({ guests: GUESTS, seed: SEED, workers: 2 })
  expect(result.findings).toEqual([])
  expect(result.guests).toBe(GUESTS)
  expect(result.found).toBeGreaterThan(GUESTS / 4)
  expect(result.found).toBeLessThan(GUESTS)
})

test('a seed makes the same guest again', async () => {
  const bases = await fuzzBases('synthetic')
  const [first, again] = [await runGuest(bases, 7), await runGuest(bases, 7)]
  expect({ ...again, ms: 0 }).toEqual({ ...first, ms: 0 })
})

describe('a reader that forgets to ask is found', () => {
  let bases: FuzzBase[]

  beforeAll(async () => {
    bases = await fuzzBases('synthetic')
  })

  /** Examines guests until one shows something wrong. */
  async function firstFinding(subject: Subject): Promise<FuzzFinding> {
    for (let seed = SEED; seed < SEED + 2000; seed++) {
      try {
        await runGuest(bases, seed, subject)
      } catch (error) {
        if (error instanceof FuzzFinding) return error
        throw error
      }
    }
    throw new Error('nothing was found')
  }

  /** Opens and classifies, reading frames when `mayRead` says so. */
  const reading =
    (mayRead: (guest: FuzzGuest, pfn: number) => boolean): Subject =>
    async (guest) => {
      const { base } = guest
      try {
        const linux = await openLinuxGuest(
          {
            frameBytes: base.frameBytes,
            machine: base.machine,
            extents: base.extents,
            toPfn: (gfn) => gfn,
            tryRead: (range, into) => {
              for (let pfn = range.start; pfn < range.start + range.count; pfn++) {
                if (!mayRead(guest, pfn)) return false
              }
              guest.read(range, into)
              return true
            },
          },
          { elfNotes: guest.notes },
        )
        for (const extent of base.extents) linux.classify(extent, new Uint8Array(extent.count))
      } catch (error) {
        if (!(error instanceof LinuxGuestError)) throw error
      }
      return undefined
    }

  test('that a frame may be outside guest RAM', async () => {
    const finding = await firstFinding(reading((guest, pfn) => guest.states[pfn] !== 2))
    expect(finding.message).toMatch(/^seed \d+ \(.+\): frame \d+ was read, which is not guest RAM$/)
    await expect(runGuest(bases, finding.seed)).resolves.toMatchObject({ seed: finding.seed })
  })

  test('that a frame may not be backed', async () => {
    const finding = await firstFinding(
      reading((guest, pfn) => guest.states[pfn] !== undefined && guest.states[pfn] !== 0),
    )
    expect(finding.message).toMatch(/^seed \d+ \(.+\): frame \d+ was read, which is not backed$/)
  })
})
