import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport, PagesReport } from '@ullage/dump'
import {
  FIXTURE_NAMES,
  type Fixture,
  KPF,
  type MemoryView,
  makedumpfile,
  openMemoryView,
  unpackFixture,
} from '@ullage/lab'
import { compressions, openVmcore } from '@ullage/vmcore'
import { PfnSet } from '@ullage/pages'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareDump } from './compare-dump.ts'
import { runUllage } from './run-ullage.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-fixture-dumps-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function ullage(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await runUllage(args, { stateDir: join(folder, 'state') })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return stdout
}

describe.each(FIXTURE_NAMES)('%s', (name) => {
  let fixture: Fixture
  let memory: MemoryView
  beforeAll(async () => {
    fixture = await unpackFixture(name)
    memory = openMemoryView(fixture.regions)
  })
  afterAll(() => memory?.[Symbol.dispose]())

  const hasFlag = (pfn: number, bit: number) => ((fixture.kpageflags[pfn] ?? 0n) >> BigInt(bit)) & 1n

  async function dump(file: string, ...args: string[]): Promise<DumpReport> {
    await ullage('dump', fixture.descriptor, '-o', join(folder, file), ...args)
    return JSON.parse(readFileSync(join(folder, `${file}.report.json`), 'utf8')) as DumpReport
  }

  test('pages --runs: offline is the kernel’s own word, the host state is the backing map, frame by frame', async () => {
    const lines = (await ullage('pages', fixture.descriptor, '--runs')).trim().split('\n')
    let frames = 0
    const differences: string[] = []
    const extents = memory.extents.map(({ start, count }) => ({ start, end: start + count }))
    let expected = extents[0]?.start
    for (const line of lines) {
      const run = JSON.parse(line) as { pfn: number; count: number; guest: string; host: string; fate: string }
      expect(run.pfn).toBe(expected)
      for (let pfn = run.pfn; pfn < run.pfn + run.count; pfn++) {
        if ((run.guest === 'offline') !== (hasFlag(pfn, KPF.offline) === 1n)) differences.push(`${pfn} ${run.guest}`)
        const isListed = pfn < fixture.kpageflags.length
        if ((run.guest === 'noStructPage') !== (!isListed || hasFlag(pfn, KPF.nopage) === 1n))
          differences.push(`${pfn} ${run.guest}`)
        if ((run.host === 'backed') !== memory.backed.has(pfn)) differences.push(`${pfn} ${run.host}`)
      }
      frames += run.count
      const end = run.pfn + run.count
      expected = extents.find((extent) => extent.end === end)
        ? (extents.find((extent) => extent.start > end)?.start ?? end)
        : end
    }
    expect(differences).toEqual([])
    expect(frames).toBe(extents.reduce((sum, { start, end }) => sum + end - start, 0))
  })

  test('pages --json accounts for every frame', async () => {
    const { frames } = JSON.parse(await ullage('pages', fixture.descriptor, '--json')) as PagesReport
    const sum = Object.values(frames.byClass)
      .flatMap((states) => Object.values(states))
      .reduce((a, b) => a + b, 0)
    expect(sum).toBe(frames.total)
    expect(frames.byFate.write + frames.byFate.zero + frames.byFate.leaveOut).toBe(frames.total)
  })

  test.each(compressions)(
    'level 31, %s: every stored page is the guest’s memory, by libkdumpfile',
    async (compression) => {
      const file = `${name}-${compression}.vmcore`
      const report = await dump(file, '--compress', compression)
      const { stored, wrong } = compareDump(join(folder, file), memory)
      expect(wrong).toEqual([])
      expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
      expect(report.artifact?.bytes).toBe(statSync(join(folder, file)).size)
      expect(report.hostMemory.backedBytesAfter).toBe(report.hostMemory.backedBytesBefore)
      for (const run of stored.allRuns()) {
        for (let pfn = run.start; pfn < run.start + run.count; pfn++) {
          if (hasFlag(pfn, KPF.offline) === 1n) throw new Error(`frame ${pfn} is offline and stored`)
        }
      }
    },
  )

  test('level 0 leaves out nothing but offline frames and frames without memory that nobody uses', async () => {
    const report = await dump(`${name}-0.vmcore`, '--level', '0')
    const { stored, wrong } = compareDump(join(folder, `${name}-0.vmcore`), memory)
    expect(wrong).toEqual([])
    for (const run of memory.backed.allRuns()) {
      for (let pfn = run.start; pfn < run.start + run.count; pfn++) {
        if (stored.has(pfn) === (hasFlag(pfn, KPF.offline) === 1n)) throw new Error(`frame ${pfn}`)
      }
    }
    expect(report.frames.byClass.offline.backed).toBe(0)
  })

  test('level 31 as ELF: the same pages, by libkdumpfile', async () => {
    const report = await dump(`${name}-elf.vmcore`, '--format', 'elf')
    // libkdumpfile 0.5.1 also hands out zeros for the one frame before a segment, so it is asked for stored frames only.
    await using vmcore = await openVmcore(join(folder, `${name}-elf.vmcore`))
    const only = new PfnSet()
    for await (const run of vmcore.stored()) only.add(run)
    const { stored, wrong } = compareDump(join(folder, `${name}-elf.vmcore`), memory, only)
    expect(wrong).toEqual([])
    expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
  })

  test('flattened, put together by makedumpfile, is the same dump', async () => {
    await dump(`${name}-flat.vmcore`, '--format', 'flattened', '--compress', 'zlib')
    const whole = join(folder, `${name}-whole.vmcore`)
    const { status, stderr } = await makedumpfile(['-R', whole], {
      version: 'machine',
      input: readFileSync(join(folder, `${name}-flat.vmcore`)),
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(compareDump(whole, memory).wrong).toEqual([])
  })

  test('makedumpfile prints the guest’s log from our dump', async () => {
    await dump(`${name}-log.vmcore`, '--compress', 'zlib')
    const log = join(folder, `${name}.log`)
    const { status, stdout, stderr } = await makedumpfile(['--dump-dmesg', join(folder, `${name}-log.vmcore`), log])
    expect(`${stdout}${stderr}`).not.toMatch(/fail|error/i)
    expect(status).toBe(0)
    expect(readFileSync(log, 'utf8')).toContain(`Linux version ${fixture.uname}`)
  })

  test('one flipped byte is found by the comparison', async () => {
    const path = join(folder, `${name}-flip.vmcore`)
    await dump(`${name}-flip.vmcore`, '--compress', 'none')
    expect(compareDump(path, memory).wrong).toEqual([])
    // In the last stored page, which no other frame shares.
    const position = statSync(path).size - 100
    const file = openSync(path, 'r+')
    const byte = Buffer.alloc(1)
    readSync(file, byte, 0, 1, position)
    byte[0] = (byte[0] as number) ^ 0x10
    writeSync(file, byte, 0, 1, position)
    closeSync(file)
    expect(compareDump(path, memory).wrong).toHaveLength(1)
  })
})
