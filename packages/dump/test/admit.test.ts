import { makeSyntheticGuest, openSyntheticGuest, syntheticEras } from '@ullage/lab'
import { encodeElfNote } from '@ullage/layout'
import type { OpenGuest, PauseLease } from '@ullage/offline-query'
import { countFrames } from '@ullage/pages'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dumpDefaults, dumpGuest, type DumpOptions, type SpaceNeed } from '../src/index.ts'

/** Longer than what is known of a running guest is taken for true, in milliseconds. */
const LONG_MS = 1_300

/** Most of the guest's memory is in a balloon. */
const UNBACKED = { start: 20_000, count: 40_000 }

type Kind = 'running' | 'stopped' | 'file'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ullage-admit-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** A guest of a kind, that remembers whether it stands still by us, and how often it was looked at. */
class WatchedGuest {
  readonly open: OpenGuest
  isPaused = false
  looks = 0

  constructor(kind: Kind, { costly = false } = {}) {
    const { guest, kernel } = makeSyntheticGuest({ era: syntheticEras['6.12'] })
    guest.unbacked.add(UNBACKED)
    const elfNotes = encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode(kernel.vmcoreinfo))
    const opened = openSyntheticGuest(guest, { elfNotes })
    const { backing } = opened
    this.open = {
      ...opened,
      identity: { ...opened.identity, kind: kind === 'file' ? 'file' : 'live' },
      backing: { capabilities: { ...backing.capabilities, costly }, backing: (asked) => backing.backing(asked) },
      notes: (asked) => {
        this.looks++
        return opened.notes(asked)
      },
      pause: (asked) => (kind === 'file' ? opened.pause(asked) : this.#pause(kind, asked?.beforeStop)),
    }
  }

  get ramBytes(): number {
    return countFrames(this.open.memory.extents) * this.open.memory.frameBytes
  }

  async #pause(kind: Kind, beforeStop: (() => Promise<void>) | undefined): Promise<PauseLease> {
    if (kind === 'running') {
      await beforeStop?.()
      this.isPaused = true
    }
    const resume = async () => {
      this.isPaused = false
      return 1
    }
    return {
      mode: kind === 'running' ? 'paused' : 'stopped',
      resume,
      [Symbol.asyncDispose]: async () => void (await resume()),
    }
  }
}

function dump(guest: WatchedGuest, options: Partial<DumpOptions>) {
  const output = join(folder, 'vmcore')
  return dumpGuest(guest.open, { ...dumpDefaults, compression: 'none', jobs: 1, output, ...options })
}

describe.each(['running', 'stopped', 'file'] as const)('a guest, %s,', (kind) => {
  test('is admitted once, before it stands still, with what its artifact may take', async () => {
    const guest = new WatchedGuest(kind)
    const needs: SpaceNeed[] = []
    const report = await dump(guest, {
      admit: async (need) => {
        expect(guest.isPaused).toBe(false)
        needs.push(need)
      },
    })
    expect(needs).toHaveLength(1)
    const bytes = report.artifact?.bytes ?? 0
    expect(needs[0]?.atMostBytes).toBeGreaterThanOrEqual(bytes)
    expect(needs[0]?.atLeastBytes).toBeLessThanOrEqual(bytes)
    expect(needs[0]?.atMostBytes).toBeLessThan(guest.ramBytes / 2)
  })

  test('is not dumped where there is no room, and nothing is left', async () => {
    const guest = new WatchedGuest(kind)
    const full = new Error('no room')
    await expect(dump(guest, { admit: () => Promise.reject(full) })).rejects.toBe(full)
    expect(guest.isPaused).toBe(false)
    expect(await readdir(folder)).toEqual([])
  })

  test('is looked at again when it may have changed while it waited', async () => {
    const looksOf = async (admit: DumpOptions['admit']) => {
      const guest = new WatchedGuest(kind)
      await dump(guest, { ...(admit && { admit }), output: join(folder, `vmcore-${String(admit === undefined)}`) })
      return guest.looks
    }
    const looks = await looksOf(undefined)
    expect(await looksOf(() => delay(LONG_MS))).toBe(kind === 'file' ? looks : looks + 1)
  })

  test('is not asked for in a dry run', async () => {
    const refuse = () => Promise.reject(new Error('it was asked'))
    await dump(new WatchedGuest(kind), { dryRun: true, admit: refuse })
  })
})

test('a guest that was not looked at before it is stopped needs its RAM at most', async () => {
  const guest = new WatchedGuest('running', { costly: true })
  const needs: SpaceNeed[] = []
  const report = await dump(guest, { admit: async (need) => void needs.push(need) })
  expect(needs).toHaveLength(1)
  expect(needs[0]?.atMostBytes).toBeGreaterThan(guest.ramBytes)
  expect(needs[0]?.atMostBytes).toBeLessThan(1.1 * guest.ramBytes)
  expect(needs[0]?.atLeastBytes).toBeLessThan(report.artifact?.bytes ?? 0)
})

test('waiting is no part of the time that a report tells', async () => {
  const report = await dump(new WatchedGuest('file'), { admit: () => delay(LONG_MS) })
  expect(report.timingsMs.classify).toBeLessThan(LONG_MS)
})
