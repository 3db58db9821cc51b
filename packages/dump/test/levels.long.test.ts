import { dumpDefaults, dumpGuest, type GuestClass, guestClasses } from '@ullage/dump'
import {
  bootGuest,
  dumpByQemu,
  framesWithFlag,
  type GuestOptions,
  hasBit,
  type KdumpFrames,
  KPF,
  type LabGuest,
  makedumpfile,
  openStoppedMemory,
  type ReaderVersion,
  readKdumpFrames,
  type SettledTruth,
  settledTruth,
  startWorkload,
  WORKLOAD_DISK_MIB,
} from '@ullage/lab'
import { type LinuxGuest, openLinuxGuest } from '@ullage/linux-guest'
import { type PfnRange, PfnSet } from '@ullage/pages'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TOLD } from './expected-class.ts'
import { agreementWith } from './kernel-agreement.ts'
import { LevelRules } from './level-rules.ts'
import { nameHeadsAsBefore } from './name-heads-as-before.ts'
import { stoppedGuest } from './stopped-guest.ts'

const LEVELS = [0, 1, 2, 4, 8, 16, 17, 31] as const

/** Frames that may change between the two times the kernel is asked: those of the file it is written to, above all. */
const MOVED_FRAMES = 4096

/** What the workload puts into every guest: frames of each kind, at least, by the kernel's word. */
const AT_LEAST: Readonly<Partial<Record<keyof typeof TOLD, number>>> = {
  // The balloon has 16384; the kernel may put some of its pages elsewhere meanwhile.
  offline: 14_000,
  buddy: 500,
  slab: 1000,
  anon: 2000,
  thp: 2048,
  huge: 6 * 512,
  lru: 4000,
  dirty: 500,
  private: 500,
  mlocked: 200,
  swapcache: 50,
  pgtable: 30,
}

interface Case {
  readonly options: GuestOptions
  /** Debian's own for the older kernels, the newest for those it does not know. */
  readonly version: ReaderVersion
  /** Free frames that the guest's kernel is told to be broken; kernels before do not know of any. */
  readonly poisoned: number
}

const base = { memMiB: 256, balloonMiB: 64, diskMiB: WORKLOAD_DISK_MIB } as const
const virtioMem = { sizeMiB: 512, requestedMiB: 192 }

const cases: readonly Case[] = [
  { options: { ...base, era: 'bullseye' }, version: 'machine', poisoned: 0 },
  { options: { ...base, era: 'bookworm' }, version: 'machine', poisoned: 0 },
  { options: { ...base, era: 'trixie' }, version: 'newest', poisoned: 3 },
  { options: { ...base, era: 'sid', virtioMem }, version: 'newest', poisoned: 3 },
]

/** All that was found out about one guest while it stood still. */
interface Look {
  readonly extents: readonly PfnRange[]
  readonly backed: PfnSet
  readonly guarded: PfnSet
  readonly classes: ReadonlyMap<number, GuestClass>
  readonly ours: ReadonlyMap<number, KdumpFrames>
  readonly elf: string
}

describe.each(cases)('a guest of era $options.era with memory of every kind', ({ options, version, poisoned }) => {
  let guest: LabGuest
  let truth: SettledTruth
  let look: Look
  beforeAll(async () => {
    guest = await bootGuest(options)
    await startWorkload(guest)
    if (poisoned > 0) await poison(guest, poisoned)
    const { seen, ...told } = await settledTruth(guest, () => lookAt(guest))
    truth = told
    look = seen
  })
  afterAll(() => guest?.[Symbol.asyncDispose]())

  test('frames stored and zero pages are makedumpfile’s at each level, but for what the rules say', async () => {
    const theirs = await theirDumps(guest, look.elf, version)
    const flagged = (bit: number) => framesWithFlag(truth.before.kpageflags, bit)
    const nopage = new Set(flagged(KPF.nopage))
    const rules = new LevelRules({
      offline: new Set([...flagged(KPF.offline), ...flagged(KPF.hwpoison)]),
      hasStructPage: (pfn) => pfn < truth.before.kpageflags.length && !nopage.has(pfn),
      isBacked: (pfn) => look.backed.has(pfn),
      guarded: look.guarded,
      theirs,
    })
    const wrong: string[] = []
    for (const level of LEVELS) {
      const mine = look.ours.get(level) as KdumpFrames
      expect({ level, claimed: mine.dumpLevel }).toEqual({ level, claimed: level })
      for (const pfn of framesOf(look.extents)) {
        const expected = rules.expect(level, pfn)
        for (const key of ['present', 'stored', 'zero'] as const) {
          const found = hasBit(mine[key], pfn)
          if (found !== expected[key]) wrong.push(`level ${level}, frame ${pfn}: ${key} is ${found}`)
        }
      }
    }
    process.stdout.write(`${guest.era.release} (${guest.era.name})\n${rules.table(LEVELS)}\n`)
    // Each bit leaves out frames of its own, and zero pages share one: levels cannot be taken for one another.
    const stored = (level: number) => rules.storedBy(level)
    for (const level of [2, 8, 16]) expect(stored(level)).toBeLessThan(stored(0) - 500)
    expect(stored(4)).toBeLessThan(stored(2) - 500)
    expect(stored(31)).toBeLessThan(Math.min(stored(4), stored(8), stored(16)) - 500)
    expect({ wrong: wrong.length, first: wrong.slice(0, 20) }).toEqual({ wrong: 0, first: [] })
  })

  test('every frame that did not move has the class its kernel gives it', () => {
    const { settled, wrong, told, mapped, table } = agreementWith(truth, look.classes)
    process.stdout.write(`${guest.era.release} (${guest.era.name})\n${table}\n`)
    expect(wrong).toEqual([])
    expect(look.classes.size - settled.length).toBeLessThan(MOVED_FRAMES)
    for (const [name, least] of Object.entries(AT_LEAST)) {
      expect({ name, isEnough: (told[name] ?? 0) >= least, told: told[name] }).toMatchObject({ name, isEnough: true })
    }
    expect(told['hwpoison']).toBe(poisoned)
    const unmappable: readonly GuestClass[] = ['noStructPage', 'offline', 'unaccepted', 'free', 'unknown']
    expect(unmappable.filter((name) => mapped.has(name))).toEqual([])
    // Two kinds of frames have a class of their own and more than one: neither may stand for all.
    expect([...mapped]).toEqual(expect.arrayContaining(['user', 'cache']))
  })
})

/** Has the guest's kernel take frames from the middle of free blocks for broken (memory_failure). */
async function poison(guest: LabGuest, count: number): Promise<void> {
  const { kpageflags } = await guest.truth()
  const free = framesWithFlag(kpageflags, KPF.buddy).filter((pfn) => pfn % 64 === 37)
  const lines = free
    .slice(-count)
    .map((pfn) => `echo 0x${(pfn * 4096).toString(16)} > /sys/devices/system/memory/hard_offline_page`)
  await guest.exec(lines.join(' && '))
}

/** Classes, our dumps, then QEMU's: that one gives memory to every frame that has none. */
async function lookAt(guest: LabGuest): Promise<Look> {
  using memory = await openStoppedMemory(guest)
  const { view, elfNotes } = memory
  const linux = await openLinuxGuest(view, { elfNotes })
  expect(linux).toMatchObject({ kernel: guest.era.release, warnings: [] })
  const ours = new Map<number, KdumpFrames>()
  await using opened = stoppedGuest(memory, 2)
  for (const level of LEVELS) {
    const output = join(guest.folder, `ours-${level}`)
    await dumpGuest(opened, { ...dumpDefaults, output, level, compression: 'lzo' })
    ours.set(level, readKdumpFrames(output))
    rmSync(output)
  }
  const backedBytes = () => guest.backedRanges().reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0)
  expect(backedBytes()).toBe(view.backed.size * view.frameBytes)
  const elf = join(guest.folder, 'qemu.elf')
  await dumpByQemu(guest, elf)
  expect(backedBytes()).toBeGreaterThan(view.backed.size * view.frameBytes)
  const { extents, backed } = view
  return { extents, backed, guarded: PfnSet.of(linux.protectedFrames()), classes: classesOf(linux, extents), ours, elf }
}

function classesOf(linux: LinuxGuest, extents: readonly PfnRange[]): Map<number, GuestClass> {
  const classes = new Map<number, GuestClass>()
  for (const extent of extents) {
    const codes = new Uint8Array(extent.count)
    linux.classify(extent, codes)
    codes.forEach((code, i) => classes.set(extent.start + i, guestClasses[code] as GuestClass))
  }
  return classes
}

async function theirDumps(guest: LabGuest, elf: string, version: ReaderVersion): Promise<Map<number, KdumpFrames>> {
  await nameHeadsAsBefore(elf)
  const theirs = new Map<number, KdumpFrames>()
  for (const level of LEVELS) {
    const output = join(guest.folder, `theirs-${level}`)
    const { status, stdout, stderr } = await makedumpfile(['-l', '-d', `${level}`, elf, output], { version })
    expect({ level, status, said: status === 0 ? '' : `${stdout}${stderr}` }).toEqual({ level, status: 0, said: '' })
    theirs.set(level, readKdumpFrames(output))
    rmSync(output)
  }
  return theirs
}

function* framesOf(extents: readonly PfnRange[]): Generator<number> {
  for (const { start, count } of extents) for (let pfn = start; pfn < start + count; pfn++) yield pfn
}
