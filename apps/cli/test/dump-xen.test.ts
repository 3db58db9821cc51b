import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, copyFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport, PagesReport } from '@ullage/dump'
import {
  KPF,
  makedumpfile,
  openXenCoreView,
  unpackXenFixture,
  XEN_FIXTURE_NAMES,
  type XenCoreView,
  type XenFixture,
} from '@ullage/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareDump } from './compare-dump.ts'
import { runUllage } from './run-ullage.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-xen-dumps-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Frames from 0xa0 on that the guest calls in use; xl dump-core never looks for memory there, which is listed. */
const VIDEO_HOLE = 32

async function ullage(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await runUllage(args, { stateDir: join(folder, 'state') })
  expect(`${status} ${stderr}`).toMatch(/^0 /)
  return { stdout, stderr }
}

describe.each(XEN_FIXTURE_NAMES)('%s', (name) => {
  let fixture: XenFixture
  let core: XenCoreView
  beforeAll(async () => {
    fixture = await unpackXenFixture(name)
    core = openXenCoreView(fixture.core, fixture.kpageflags.length)
  })
  afterAll(() => core?.[Symbol.dispose]())

  const notLooked = name === 'xen-pvh' ? VIDEO_HOLE : 0
  const isOffline = (pfn: number) => (((fixture.kpageflags[pfn] ?? 0n) >> BigInt(KPF.offline)) & 1n) === 1n

  async function dump(file: string, ...args: string[]): Promise<DumpReport> {
    const { stderr } = await ullage('dump', fixture.descriptor, '-o', join(folder, file), ...args)
    expect(stderr).toBe('')
    return JSON.parse(readFileSync(join(folder, `${file}.report.json`), 'utf8')) as DumpReport
  }

  test('pages --runs: offline is the kernel’s own word, the host state is the core’s list, frame by frame', async () => {
    const { stdout } = await ullage('pages', fixture.descriptor, '--runs')
    const differences: string[] = []
    let frames = 0
    for (const line of stdout.trim().split('\n')) {
      const run = JSON.parse(line) as { pfn: number; count: number; guest: string; host: string; fate: string }
      for (let pfn = run.pfn; pfn < run.pfn + run.count; pfn++) {
        if ((run.guest === 'offline') !== isOffline(pfn)) differences.push(`${pfn} ${run.guest}`)
        if ((run.guest === 'noStructPage') !== pfn >= fixture.kpageflags.length) differences.push(`${pfn} ${run.guest}`)
        if ((run.host === 'backed') !== core.backed.has(pfn)) differences.push(`${pfn} ${run.host}`)
      }
      frames += run.count
    }
    expect(differences).toEqual([])
    expect(frames).toBe(core.extents.reduce((sum, { count }) => sum + count, 0))
  })

  test('pages --json: all offline frames are unbacked, nothing the kernel relies on is', async () => {
    const report = JSON.parse((await ullage('pages', fixture.descriptor, '--json')).stdout) as PagesReport
    const { offline, inUse } = report.frames.byClass
    expect(offline).toEqual({ backed: 0, swapped: 0, unbacked: 36864, unknown: 0 })
    expect(inUse.unbacked).toBe(notLooked)
    expect(report.disagreements).toMatchObject({ missing: 0, protectedUnbacked: 0, alarm: false })
  })

  test.each(['31', '1', '0'])('level %s: every stored page is the core’s, by libkdumpfile', async (level) => {
    const file = `${name}-${level}.vmcore`
    const report = await dump(file, '--level', level)
    const { stored, wrong } = compareDump(join(folder, file), core)
    expect(wrong).toEqual([])
    expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
    expect(report.artifact?.bytes).toBe(statSync(join(folder, file)).size)
    expect(report.consistency).toEqual({ mode: 'file', pausedMs: 0, copiedBytes: 0 })
    expect(report.hostMemory.backedBytesAfter).toBe(core.backed.size * core.frameBytes)
    if (level === '31') expect(stored.size).toBeGreaterThan(10_000)
    else expect(stored.size).toBe(core.backed.size)
    for (const run of stored.allRuns()) expect(core.isReadable(run)).toBe(true)
  })

  test('trust host needs no word of the guest’s and stores all that the core has', async () => {
    const output = join(folder, `${name}-host.vmcore`)
    const { stderr } = await ullage('dump', fixture.descriptor, '-o', output, '--trust', 'host')
    expect(stderr).toMatch(/^ullage: warning: 36864 frames .*\[MISSING\]\n$/)
    const { stored, wrong } = compareDump(output, core)
    expect(wrong).toEqual([])
    expect(stored.size).toBe(core.backed.size)
  })

  test('makedumpfile prints the guest’s log from our dump, where page tables hold the guest’s own frames', async () => {
    await dump(`${name}-log.vmcore`, '--compress', 'zlib')
    const log = join(folder, `${name}.log`)
    const { status } = await makedumpfile(['--dump-dmesg', join(folder, `${name}-log.vmcore`), log])
    if (name === 'xen-pv') {
      // Its page tables hold machine frames, which no part of the dump turns into frames.
      expect(status).not.toBe(0)
      return
    }
    expect(status).toBe(0)
    expect(readFileSync(log, 'utf8')).toContain(`Linux version ${fixture.uname}`)
  })
})

test('a core that was cut off ends the dump with its reason, and leaves nothing behind', async () => {
  const { core } = await unpackXenFixture('xen-pvh')
  copyFileSync(core, join(folder, 'cut.core'))
  truncateSync(join(folder, 'cut.core'), 1 << 20)
  writeFileSync(
    join(folder, 'cut.json'),
    JSON.stringify({ backend: 'xen', source: { kind: 'core', file: 'cut.core' } }),
  )
  const output = join(folder, 'cut.vmcore')
  const { status, stderr } = await runUllage(['dump', join(folder, 'cut.json'), '-o', output], {
    stateDir: join(folder, 'state'),
  })
  expect(status).toBe(1)
  expect(stderr).toMatch(/^ullage: .*cut\.core.* cut off.*\[CORRUPT\]\n$/)
  expect(() => statSync(output)).toThrow(/ENOENT/)
})
