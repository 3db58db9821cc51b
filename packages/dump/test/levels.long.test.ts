import { dumpDefaults, dumpGuest } from '@ullage/dump'
import {
  bootGuest,
  dumpByQemu,
  framesWithFlag,
  type GuestOptions,
  hasBit,
  type KdumpFrames,
  KPF,
  makedumpfile,
  openStoppedMemory,
  type ReaderVersion,
  readKdumpFrames,
  startWorkload,
  WORKLOAD_DISK_MIB,
} from '@ullage/lab'
import { openLinuxGuest } from '@ullage/linux-guest'
import { PfnSet } from '@ullage/pages'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LevelRules } from './level-rules.ts'
import { nameHeadsAsBefore } from './name-heads-as-before.ts'
import { stoppedGuest } from './stopped-guest.ts'

const LEVELS = [0, 1, 2, 4, 8, 16, 17, 31] as const

interface Case {
  readonly options: GuestOptions
  /** Debian's own for the older kernels, the newest for those it does not know. */
  readonly version: ReaderVersion
}

const base = { memMiB: 256, balloonMiB: 64, diskMiB: WORKLOAD_DISK_MIB } as const
const virtioMem = { sizeMiB: 512, requestedMiB: 192 }

const cases: readonly Case[] = [
  { options: { ...base, era: 'bullseye' }, version: 'machine' },
  { options: { ...base, era: 'bookworm' }, version: 'machine' },
  { options: { ...base, era: 'trixie', virtioMem }, version: 'newest' },
  { options: { ...base, era: 'sid', virtioMem }, version: 'newest' },
]

describe.each(cases)('levels on a guest of era $options.era', ({ options, version }) => {
  test('bitmap 2 and zero pages are makedumpfile’s, but for what the rules say', async () => {
    await using guest = await bootGuest(options)
    await startWorkload(guest)
    const { kpageflags } = await guest.truth()
    await guest.stop()
    using memory = await openStoppedMemory(guest)
    const { view, elfNotes } = memory
    const linux = await openLinuxGuest(view, { elfNotes })

    // Ours first: QEMU's dump gives memory to every frame that has none.
    const ours = new Map<number, KdumpFrames>()
    await using opened = stoppedGuest(memory, 2)
    for (const level of LEVELS) {
      const output = join(guest.folder, `ours-${level}`)
      const reportPath = `${output}.json`
      await dumpGuest(opened, { ...dumpDefaults, output, reportPath, level, compression: 'lzo' })
      ours.set(level, readKdumpFrames(output))
      rmSync(output)
    }
    const backedBytes = () => guest.backedRanges().reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0)
    expect(backedBytes()).toBe(view.backed.size * view.frameBytes)

    const elf = join(guest.folder, 'qemu.elf')
    await dumpByQemu(guest, elf)
    expect(backedBytes()).toBeGreaterThan(view.backed.size * view.frameBytes)
    await nameHeadsAsBefore(elf)
    const theirs = new Map<number, KdumpFrames>()
    for (const level of LEVELS) {
      const output = join(guest.folder, `theirs-${level}`)
      const { status, stdout, stderr } = await makedumpfile(['-l', '-d', `${level}`, elf, output], { version })
      expect({ level, status, said: status === 0 ? '' : `${stdout}${stderr}` }).toEqual({ level, status: 0, said: '' })
      theirs.set(level, readKdumpFrames(output))
      rmSync(output)
    }

    const flagged = (bit: number) => new Set(framesWithFlag(kpageflags, bit))
    const rules = new LevelRules({
      offline: new Set([...flagged(KPF.offline), ...flagged(KPF.hwpoison)]),
      hasStructPage: (pfn) => pfn < kpageflags.length && !((kpageflags[pfn] ?? 0n) & (1n << BigInt(KPF.nopage))),
      isBacked: (pfn) => view.backed.has(pfn),
      guarded: PfnSet.of(linux.protectedFrames()),
      theirs,
    })
    const wrong: string[] = []
    for (const level of LEVELS) {
      const mine = ours.get(level) as KdumpFrames
      expect({ level, claimed: mine.dumpLevel }).toEqual({ level, claimed: level })
      for (const { start, count } of view.extents) {
        for (let pfn = start; pfn < start + count; pfn++) {
          const expected = rules.expect(level, pfn)
          const found = {
            present: hasBit(mine.present, pfn),
            stored: hasBit(mine.stored, pfn),
            zero: hasBit(mine.zero, pfn),
          }
          for (const key of ['present', 'stored', 'zero'] as const) {
            if (found[key] !== expected[key]) wrong.push(`level ${level}, frame ${pfn}: ${key} is ${found[key]}`)
          }
        }
      }
    }
    process.stdout.write(`${guest.era.release} (${guest.era.name})\n${rules.table(LEVELS)}\n`)
    expect({ wrong: wrong.length, first: wrong.slice(0, 20) }).toEqual({ wrong: 0, first: [] })
  })
})
