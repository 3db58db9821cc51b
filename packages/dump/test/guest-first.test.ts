import {
  type PagesOptions,
  type PlanRun,
  dumpDefaults,
  dumpGuest,
  guestClasses,
  hostStates,
  pagesOf,
} from '@ullage/dump'
import { openXenCoreView, unpackXenFixture, XEN_FIXTURE_NAMES, type XenFixture } from '@ullage/lab'
import type { BackingRun } from '@ullage/offline-query'
import { type ConformanceFixture, offlineQueryConformance } from '@ullage/offline-query/conformance'
import { PfnSet } from '@ullage/pages'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CostlyGuest, type CostlyOptions } from './costly-guest.ts'

/** KPF_OFFLINE (Linux include/linux/kernel-page-flags.h). */
const KPF_OFFLINE = 1n << 23n

interface Frames {
  readonly classes: readonly string[]
  readonly states: readonly string[]
  readonly fates: readonly number[]
}

/** What `pages --runs` says of every frame, and what the hypervisor was asked for it. */
async function examine(fixture: XenFixture, options: CostlyOptions, trust: PagesOptions['trust'] = 'guest') {
  await using guest = new CostlyGuest(fixture, options)
  const frames = { classes: [] as string[], states: [] as string[], fates: [] as number[] }
  const onRun = (run: PlanRun): void => {
    for (let pfn = run.start; pfn < run.start + run.count; pfn++) {
      frames.classes[pfn] = guestClasses[run.guestClass] ?? ''
      frames.states[pfn] = hostStates[run.hostState] ?? ''
      frames.fates[pfn] = run.fate
    }
  }
  const report = await pagesOf(guest, { pause: true, trust, onRun })
  return { report, frames: frames satisfies Frames, guest }
}

/** Frames in which two answers differ, with both. */
function differences(one: Frames, other: Frames, of: keyof Frames, but: PfnSet): string[] {
  const found: string[] = []
  one[of].forEach((value, pfn) => {
    if (value !== other[of][pfn] && !but.has(pfn)) found.push(`${of} of ${pfn}: ${value}, ${other[of][pfn]}`)
  })
  return found.slice(0, 20)
}

describe.each(XEN_FIXTURE_NAMES)('%s behind a hypervisor whose questions cost', (name) => {
  let fixture: XenFixture
  let folder: string
  const offline = new PfnSet()
  let total = 0
  beforeAll(async () => {
    fixture = await unpackXenFixture(name)
    fixture.kpageflags.forEach((word, start) => {
      if ((word & KPF_OFFLINE) !== 0n) offline.add({ start, count: 1 })
    })
    folder = await mkdtemp(join(tmpdir(), 'ullage-guest-first-'))
    await using guest = new CostlyGuest(fixture, { costly: true })
    total = guest.extents.reduce((sum, { count }) => sum + count, 0)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('is asked about every frame but those the guest calls offline, which are not read either', async () => {
    const plain = await examine(fixture, { costly: false })
    const costly = await examine(fixture, { costly: true })
    const none = new PfnSet()
    expect(differences(costly.frames, plain.frames, 'classes', none)).toEqual([])
    expect(differences(costly.frames, plain.frames, 'fates', none)).toEqual([])
    expect(differences(costly.frames, plain.frames, 'states', offline)).toEqual([])
    for (const { start, count } of offline.allRuns()) {
      for (let pfn = start; pfn < start + count; pfn++) {
        if (costly.frames.classes[pfn] !== 'offline' || costly.frames.states[pfn] !== 'unknown')
          throw new Error(`frame ${pfn} is ${costly.frames.classes[pfn]}, ${costly.frames.states[pfn]}`)
        if (costly.guest.asked.has(pfn)) throw new Error(`frame ${pfn} was asked about`)
        if (costly.guest.touched.has(pfn)) throw new Error(`frame ${pfn} was read`)
      }
    }
    expect(costly.guest.asked.size).toBe(total - offline.size)
    expect(costly.report.disagreements).toEqual({ ...plain.report.disagreements, notAsked: offline.size })
    expect(plain.report.disagreements.notAsked).toBe(0)
    expect(costly.report.frames.byFate).toEqual(plain.report.frames.byFate)
    expect(costly.report.warnings).toEqual(plain.report.warnings)
    expect(costly.report.hypervisor?.questions).toBeGreaterThan(offline.size > 0 ? 2 : 0)
  })

  it.each(['both', 'host'] as const)('is asked about every frame with trust %s', async (trust) => {
    const plain = await examine(fixture, { costly: false }, trust)
    const costly = await examine(fixture, { costly: true }, trust)
    const none = new PfnSet()
    for (const of of ['classes', 'states', 'fates'] as const) {
      expect(differences(costly.frames, plain.frames, of, none)).toEqual([])
    }
    expect(costly.guest.asked.size).toBe(total)
    expect(costly.report.disagreements.notAsked).toBe(0)
  })

  it('is asked about every frame where the kernel is found by a search only', async () => {
    const plain = await examine(fixture, { costly: false, tellsVcpu: false })
    const costly = await examine(fixture, { costly: true, tellsVcpu: false })
    expect(costly.frames).toEqual(plain.frames)
    expect(costly.guest.asked.size).toBe(total)
    expect(costly.report.disagreements.notAsked).toBe(0)
    expect(costly.report.guest).toMatchObject({ kernel: fixture.uname, vmcoreinfo: 'scan' })
    // What the host calls unbacked was not read: a search that touched it could have allocated it.
    for (const { start, count } of offline.allRuns()) {
      for (let pfn = start; pfn < start + count; pfn++) {
        if (costly.guest.touched.has(pfn)) throw new Error(`frame ${pfn} was read`)
      }
    }
  })

  it('is asked about every frame and searched nowhere where nothing can be read', async () => {
    const { report, frames, guest } = await examine(fixture, { costly: true, broken: [{ start: 0, count: 2 ** 20 }] })
    expect(guest.asked.size).toBe(total)
    expect(guest.touched.size).toBeLessThan(300)
    expect(report).toMatchObject({ trust: 'host', disagreements: { notAsked: 0 } })
    expect(report.warnings[0]).toMatchObject({ code: 'UNREADABLE', text: expect.stringMatching(/frame \d+ cannot be/) })
    expect(new Set(Object.values(frames.classes))).toEqual(new Set(['unknown']))
    expect(frames.states.filter((state) => state === 'backed')).toHaveLength(guest.counts.totalFrames ?? 0)
  })

  describe.each([
    ['cannot be read', 'nothing', 'broken'],
    ['has no memory', 'nothing', 'lost'],
    ['has no memory and reads as zeros', 'zeros', 'lost'],
  ] as const)('where a frame of its struct pages %s', (_what, unbackedReads, fault) => {
    it('says of as many frames as it describes that they are unknown, whoever is asked first', async () => {
      const whole = await examine(fixture, { costly: true })
      const options = { unbackedReads, [fault]: [{ start: frameOfStructPages(whole.guest), count: 1 }] }
      const plain = await examine(fixture, { costly: false, ...options })
      const costly = await examine(fixture, { costly: true, ...options })
      const none = new PfnSet()
      expect(differences(costly.frames, plain.frames, 'classes', none)).toEqual([])
      expect(differences(costly.frames, plain.frames, 'fates', none)).toEqual([])
      const unknown = costly.frames.classes.filter(
        (found, pfn) => found === 'unknown' && whole.frames.classes[pfn] !== found,
      )
      expect(unknown).toHaveLength(64)
      expect(costly.report.disagreements.alarm).toBe(fault === 'lost')
      expect(costly.report.disagreements).toEqual({
        ...plain.report.disagreements,
        notAsked: costly.report.disagreements.notAsked,
      })
      expect(costly.report.disagreements.notAsked).toBeGreaterThan(offline.size - 65)
    })
  })

  it('is dumped with what the hypervisor counted before and after, and what it was asked', async () => {
    await using guest = new CostlyGuest(fixture, { costly: true })
    const report = await dumpGuest(guest, { ...dumpDefaults, compression: 'none', output: join(folder, 'a.vmcore') })
    const totalFrames = guest.counts.totalFrames as number
    expect(report.disagreements.notAsked).toBe(offline.size)
    expect(report.hypervisor).toMatchObject({
      totalFramesBefore: totalFrames,
      totalFramesAfter: totalFrames,
      populateOnDemandBefore: { entries: 0 },
      populateOnDemandAfter: { entries: 0 },
    })
    expect(report.warnings.map(({ code }) => code)).not.toContain('MEMORY_CHANGED')
    expect(report).toEqual(JSON.parse(await readFile(join(folder, 'a.vmcore.report.json'), 'utf8')))
    for (const { start, count } of offline.allRuns()) {
      expect(guest.touched.next(start, true, start + count)).toBe(start + count)
      expect(guest.asked.next(start, true, start + count)).toBe(start + count)
    }
  })

  it('is dumped with a warning where the dump changed what the guest has', async () => {
    await using guest = new CostlyGuest(fixture, { costly: true })
    const onProgress = (): void => {
      guest.counts = { totalFrames: (guest.counts.totalFrames ?? 0) + 1 }
    }
    const report = await dumpGuest(guest, { ...dumpDefaults, dryRun: true, onProgress })
    expect(report.warnings.filter(({ code }) => code === 'MEMORY_CHANGED')).toHaveLength(1)
    expect(report.hypervisor?.totalFramesAfter).toBeGreaterThan(report.hypervisor?.totalFramesBefore ?? 0)
  })

  offlineQueryConformance(
    { describe, it },
    {
      name: 'the scripted hypervisor',
      open: async (): Promise<ConformanceFixture> => {
        const guest = new CostlyGuest(fixture, { costly: true })
        const core = openXenCoreView(fixture.core, fixture.kpageflags.length)
        return {
          guest,
          asked: () => guest.askedInOrder,
          truth: {
            states: [...core.backed.allRuns()].map((run): BackingRun => ({ ...run, state: 'backed' })),
            content: (pfn) => {
              const content = new Uint8Array(4096)
              core.read({ start: pfn, count: 1 }, content)
              return content
            },
          },
          dispose: async () => core[Symbol.dispose](),
        }
      },
    },
  )
})

/** A frame of struct pages: nothing else is read last in pieces of 256 KiB. */
function frameOfStructPages({ reads }: CostlyGuest): number {
  const piece = reads.findLast(({ count }) => count === 64)
  if (!piece) throw new Error('no struct pages were read')
  return piece.start + 40
}
