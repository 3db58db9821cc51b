import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport, PagesReport } from '@ullage/dump'
import {
  framesWithFlag,
  type HypervFixture,
  KPF,
  type MemoryView,
  makedumpfile,
  openMemoryView,
  unpackFixture,
  unpackHypervFixture,
} from '@ullage/lab'
import { endOf, type PfnRange, PfnSet } from '@ullage/pages'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareDump } from './compare-dump.ts'
import { runUllage } from './run-ullage.ts'

const WITNESSES = ['backing', 'ranges', 'messages'] as const
type Witness = (typeof WITNESSES)[number]

/** The memory device, what of it the host added, and what Linux made of that: a whole block of 128 MiB. */
const MEMDEV: PfnRange = { start: 0x80_0000, count: 65_536 }
const HOT_ADDED: PfnRange = { start: 0x80_0000, count: 25_600 }
const BLOCK: PfnRange = { start: 0x80_0000, count: 32_768 }

const folder = mkdtempSync(join(tmpdir(), 'ullage-hyperv-dumps-'))
afterAll(() => rmSync(folder, { recursive: true }))

let fixture: HypervFixture
let memory: MemoryView
let offline: PfnSet
beforeAll(async () => {
  fixture = await unpackHypervFixture()
  memory = openMemoryView(fixture.regions)
  offline = PfnSet.of(framesWithFlag(fixture.kpageflags, KPF.offline).map((start) => ({ start, count: 1 })))
})
afterAll(() => memory?.[Symbol.dispose]())

async function ullage(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await runUllage(args, { stateDir: join(folder, 'state') })
  expect(`${status} ${stderr}`).toMatch(/^0 /)
  return { stdout, stderr }
}

interface Run {
  readonly pfn: number
  readonly count: number
  readonly guest: string
  readonly host: string
  readonly fate: string
}

async function runsOf(descriptor: string): Promise<Run[]> {
  const { stdout } = await ullage('pages', descriptor, '--runs')
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Run)
}

function framesOf(runs: readonly Run[], wanted: (run: Run) => boolean): PfnRange[] {
  return [...PfnSet.of(runs.filter(wanted).map(({ pfn, count }) => ({ start: pfn, count }))).allRuns()]
}

async function dump(descriptor: string, file: string, ...args: string[]): Promise<DumpReport> {
  await ullage('dump', descriptor, '-o', join(folder, file), ...args)
  return JSON.parse(readFileSync(join(folder, `${file}.report.json`), 'utf8')) as DumpReport
}

function ballooned(): PfnRange[] {
  const ranges = JSON.parse(readFileSync(fixture.ranges, 'utf8')) as { ballooned: [number, number][] }
  return ranges.ballooned.map(([start, count]) => ({ start, count }))
}

/** Frames that each witness says the host has no memory for. */
function unbackedBy(witness: Witness): PfnSet {
  if (witness === 'backing') {
    const holes = PfnSet.of(memory.extents)
    for (const run of memory.backed.allRuns()) holes.delete(run)
    return holes
  }
  const told = PfnSet.of(ballooned())
  told.add({ start: endOf(HOT_ADDED), count: endOf(MEMDEV) - endOf(HOT_ADDED) })
  return told
}

describe.each(WITNESSES)('a guest with hot-added memory, its host’s word from %s', (witness) => {
  const descriptor = () => fixture.descriptors[witness]

  test('pages --runs: offline is the kernel’s own word, the host’s state what the witness tells, frame by frame', async () => {
    const runs = await runsOf(descriptor())
    expect(runs.reduce((sum, { count }) => sum + count, 0)).toBe(131_072)
    expect(framesOf(runs, ({ guest }) => guest === 'offline')).toEqual([...offline.allRuns()])
    const unbacked = unbackedBy(witness)
    expect(framesOf(runs, ({ host }) => host === 'unbacked')).toEqual([...unbacked.allRuns()])
    const other = witness === 'backing' ? 'backed' : 'unknown'
    expect(new Set(runs.map(({ host }) => host))).toEqual(new Set(['unbacked', other]))
  })

  test('pages --json: the table of what guest and host say adds up', async () => {
    const { frames } = JSON.parse((await ullage('pages', descriptor(), '--json')).stdout) as PagesReport
    const rest = witness === 'backing' ? 'backed' : 'unknown'
    const { byClass, byFate, total } = frames
    expect(total).toBe(131_072)
    expect(byFate.write + byFate.zero + byFate.leaveOut).toBe(total)
    // 7168 of them are fake-offline and were never in a balloon range; by the ranges they lie beyond what was added.
    expect(byClass.offline).toEqual({ backed: 0, swapped: 0, unbacked: 21_504, unknown: 0 })
    expect(byClass.noStructPage).toEqual({ backed: 0, swapped: 0, unbacked: 32_768, unknown: 0 })
    const inUse = byClass.inUse
    expect(inUse[rest] + inUse.unbacked).toBe(33_889)
    expect(inUse.unbacked).toBe(witness === 'backing' ? 263 : 0)
    const sum = Object.values(byClass).reduce((all, row) => all + row[rest], 0)
    expect(sum).toBe(total - unbackedBy(witness).size)
  })

  test('level 31: every stored page is the file’s, by libkdumpfile, and makedumpfile finds the guest’s log', async () => {
    const file = `${witness}.vmcore`
    const report = await dump(descriptor(), file, '--compress', 'zlib')
    const { stored, wrong } = compareDump(join(folder, file), memory)
    expect(wrong).toEqual([])
    expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
    for (const run of stored.allRuns()) expect(offline.next(run.start, true, endOf(run))).toBe(endOf(run))
    expect(report.artifact?.bytes).toBe(statSync(join(folder, file)).size)
    expect(report.guest.backend).toBe('hyperv')
    expect(report.hostMemory.backedBytesAfter).toBe(report.hostMemory.backedBytesBefore)
    expect(report.warnings.map(({ code }) => code)).toEqual(witness === 'backing' ? ['MISSING'] : [])
    const log = join(folder, `${witness}.log`)
    expect((await makedumpfile(['--dump-dmesg', join(folder, file), log])).status).toBe(0)
    expect(readFileSync(log, 'utf8')).toContain(`Linux version ${fixture.uname}`)
  })
})

/** Writes a descriptor of the kept guest, whose files lie elsewhere, with `files` for what else its source names. */
function guestOf(name: string, files: Record<string, unknown>): string {
  const { source } = JSON.parse(readFileSync(fixture.descriptors.backing, 'utf8')) as {
    source: { regions: { file: string }[] }
  }
  const regions = source.regions.map((region) => ({ ...region, file: join(fixture.dir, region.file) }))
  const path = join(folder, `${name}.json`)
  const notes = join(fixture.dir, 'notes.elf')
  writeFileSync(path, JSON.stringify({ backend: 'hyperv', source: { kind: 'files', regions, notes, ...files } }))
  return path
}

test('without notes VMCOREINFO is found in memory, and the classes are the same', async () => {
  const path = guestOf('no-notes', { notes: undefined, ranges: fixture.ranges })
  const { stdout, stderr } = await ullage('pages', path, '--json')
  expect(stderr).toMatch(/^ullage: warning: .*\[NO_NOTES\]\n$/)
  const found = JSON.parse(stdout) as PagesReport
  const withNotes = JSON.parse((await ullage('pages', fixture.descriptors.ranges, '--json')).stdout) as PagesReport
  expect(found.guest).toMatchObject({ vmcoreinfo: 'scan', kernel: fixture.uname })
  expect(found.frames).toEqual(withNotes.frames)
})

test('the notes of another guest, of the same kernel line, are found out: nothing is left out on their word', async () => {
  const other = await unpackFixture('virtio-v6.12-balloon')
  const path = guestOf('other-notes', { notes: other.notesFile, ranges: fixture.ranges })
  const { stdout, stderr } = await ullage('pages', path, '--json')
  expect(stderr).toMatch(/the guest's own word cannot be had.*\[KERNEL_NOT_RUNNING\]/)
  const { frames, trust } = JSON.parse(stdout) as PagesReport
  expect(trust).toBe('host')
  expect(frames.byFate.write).toBe(frames.total - unbackedBy('ranges').size)
})

describe('frames that are fake-offline inside a range the host says it added', () => {
  const fake: PfnRange = { start: endOf(HOT_ADDED), count: endOf(BLOCK) - endOf(HOT_ADDED) }
  const wholeBlock = () => {
    const ranges = JSON.parse(readFileSync(fixture.ranges, 'utf8')) as object
    const path = join(folder, 'whole-block-ranges.json')
    writeFileSync(path, JSON.stringify({ ...ranges, hotAdded: [[BLOCK.start, BLOCK.count]] }))
    return guestOf('whole-block', { ranges: path })
  }

  test('are left out because the guest says so; the host only does not know', async () => {
    const report = await dump(wholeBlock(), 'whole-block.vmcore')
    expect(report.frames.byClass.offline).toEqual({ backed: 0, swapped: 0, unbacked: 14_336, unknown: fake.count })
    const { stored, wrong } = compareDump(join(folder, 'whole-block.vmcore'), memory)
    expect(wrong).toEqual([])
    expect(stored.countIn(fake)).toBe(0)
  })

  test('are written with trust both, and the report shows the disagreement', async () => {
    const report = await dump(wholeBlock(), 'both.vmcore', '--trust', 'both')
    expect(report.trust).toBe('both')
    expect(report.frames.byClass.offline.unknown).toBe(fake.count)
    const { stored, wrong } = compareDump(join(folder, 'both.vmcore'), memory)
    expect(wrong).toEqual([])
    expect(stored.countIn(fake)).toBe(fake.count)
    // What is ballooned out is not read, whatever the guest says of it.
    for (const run of ballooned()) expect(stored.countIn(run)).toBe(0)
  })

  test('a hole map beside ranges decides, and what differs is counted', async () => {
    const ranges = join(folder, 'one-more.json')
    const inUse = memory.backed.next(0x2000, true, 0x1_0000)
    writeFileSync(ranges, JSON.stringify({ ballooned: [[inUse, 3]], hotAdded: [] }))
    const backing = join(fixture.dir, 'backing.json')
    const { stdout, stderr } = await ullage('pages', guestOf('both-files', { ranges, backing }), '--json')
    expect(stderr).toMatch(/warning: 3 frames that Dynamic Memory says.*\[BACKING_DIFFERS\]/)
    const report = JSON.parse(stdout) as PagesReport
    expect(report.warnings.map(({ code }) => code)).toContain('BACKING_DIFFERS')
    const sum = Object.values(report.frames.byClass).reduce((all, row) => all + row.unbacked, 0)
    expect(sum).toBe(unbackedBy('backing').size)
  })

  test('ranges that leave the guest without its page tables raise the alarm', async () => {
    const ranges = join(folder, 'all.json')
    writeFileSync(ranges, JSON.stringify({ ballooned: [[0, 0x1_0000]], hotAdded: [] }))
    const { stdout, stderr } = await ullage('pages', guestOf('no-word', { ranges }), '--json')
    expect(stderr).toMatch(
      /warning: the host backs no memory behind what the guest's own word is found by.*\[WORD_LOST\]/,
    )
    expect(JSON.parse(stdout)).toMatchObject({
      trust: 'host',
      disagreements: { wordLost: true, alarm: true },
    })
  })

  test('ranges and messages that contradict each other claim nothing, and say so', async () => {
    const ranges = join(folder, 'less.json')
    writeFileSync(ranges, JSON.stringify({ ballooned: [[10_240, 512]], hotAdded: [[0x80_0000, 25_600]] }))
    const path = guestOf('contradiction', { ranges, messages: join(fixture.dir, 'dm.jsonl') })
    const { stdout, stderr } = await ullage('pages', path, '--json')
    expect(stderr).toMatch(
      /warning: ranges and messages contradict each other about 13824 frames.*\[DM_RANGES_DIFFER\]/,
    )
    const { frames } = JSON.parse(stdout) as PagesReport
    expect(frames.byClass.offline).toEqual({ backed: 0, swapped: 0, unbacked: 512 + fake.count, unknown: 13_824 })
  })
})
