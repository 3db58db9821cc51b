import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport, PagesReport } from '@ullage/dump'
import {
  type FixtureSavedState,
  framesWithFlag,
  type HypervFixture,
  KPF,
  makedumpfile,
  type MemoryView,
  unpackHypervFixture,
  writeFixtureSavedState,
} from '@ullage/lab'
import { PfnSet } from '@ullage/pages'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareDump } from './compare-dump.ts'
import { runUllage } from './run-ullage.ts'

/** RAM of the guest at boot, and what was hot-added; the rest of Linux's hot-added block is no RAM of the host's. */
const EXTENTS = [
  { start: 0, count: 65_536 },
  { start: 0x80_0000, count: 25_600 },
]
const FRAMES = 91_136
const FORMS = ['raw', 'pages'] as const

const folder = mkdtempSync(join(tmpdir(), 'ullage-saved-dumps-'))
afterAll(() => rmSync(folder, { recursive: true }))

let fixture: HypervFixture
beforeAll(async () => {
  fixture = await unpackHypervFixture()
})

async function ullage(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await runUllage(args, { stateDir: join(folder, 'state') })
  expect(`${status} ${stderr}`).toMatch(/^0 /)
  return { stdout, stderr }
}

function descriptorOf(file: string): string {
  const path = join(folder, `${file}.json`)
  writeFileSync(path, JSON.stringify({ backend: 'hyperv', source: { kind: 'saved-state', file } }))
  return path
}

describe.each(FORMS)('a real guest as a saved state of %s blocks', (form) => {
  let saved: FixtureSavedState
  let stored: MemoryView
  let descriptor: string
  beforeAll(() => {
    saved = writeFixtureSavedState(join(folder, `${form}.vmrs`), fixture, form)
    descriptor = descriptorOf(`${form}.vmrs`)
    const present = PfnSet.of(EXTENTS)
    for (const { start, count } of EXTENTS) {
      for (let pfn = start; pfn < start + count; pfn += 256)
        if (saved.isAbsent(pfn)) present.delete({ start: pfn, count: 256 })
    }
    // What the file holds of a frame that had no memory in a MiB that had some is zeros.
    const read: MemoryView['read'] = ({ start, count }, into) => {
      into.fill(0)
      for (let i = 0; i < count; i++) {
        if (saved.memory.backed.has(start + i)) {
          saved.memory.read({ start: start + i, count: 1 }, into.subarray(i * 4096, (i + 1) * 4096))
        }
      }
    }
    stored = { ...saved.memory, extents: EXTENTS, backed: present, read }
  })
  afterAll(() => saved?.memory[Symbol.dispose]())

  test('pages: offline is the kernel’s own word frame by frame, the host’s is what is in the file, and it is unverified', async () => {
    const { stdout, stderr } = await ullage('pages', descriptor, '--runs')
    expect(stderr).toMatch(/^ullage: warning: .*unverified.* \[UNVERIFIED_FORMAT\]$/m)
    const offline = new Set(framesWithFlag(fixture.kpageflags, KPF.offline))
    const differences: string[] = []
    let frames = 0
    for (const line of stdout.trim().split('\n')) {
      const run = JSON.parse(line) as { pfn: number; count: number; guest: string; host: string; fate: string }
      frames += run.count
      for (let pfn = run.pfn; pfn < run.pfn + run.count; pfn++) {
        if ((run.guest === 'offline') !== offline.has(pfn)) differences.push(`${pfn} ${run.guest}`)
        if (run.host !== (stored.backed.has(pfn) ? 'unknown' : 'unbacked')) differences.push(`${pfn} ${run.host}`)
      }
    }
    expect(differences).toEqual([])
    expect(frames).toBe(FRAMES)
  })

  test('pages --json: nothing that the kernel relies on is absent', async () => {
    const report = JSON.parse((await ullage('pages', descriptor, '--json')).stdout) as PagesReport
    const { offline, inUse } = report.frames.byClass
    // The ballooned ones: fake-offline frames lie beyond what the host added, where it has no memory block.
    expect(offline.unbacked + offline.unknown).toBe(14_336)
    // Of no flags at all, in a MiB that the guest never touched.
    expect(inUse.unbacked).toBe(16)
    expect(report.disagreements).toMatchObject({ protectedUnbacked: 0, alarm: false })
    expect(report.warnings.map(({ code }) => code)).toContain('UNVERIFIED_FORMAT')
  })

  test.each(form === 'raw' ? ['31'] : ['31', '0'])(
    'dump, level %s: every page is the guest’s, by libkdumpfile',
    async (level) => {
      const file = join(folder, `${form}-${level}.vmcore`)
      const { stderr } = await ullage('dump', descriptor, '-o', file, '--level', level, '--compress', 'zlib')
      expect(stderr).toMatch(/\[UNVERIFIED_FORMAT\]/)
      const report = JSON.parse(readFileSync(`${file}.report.json`, 'utf8')) as DumpReport
      expect(report.warnings.map(({ code }) => code)).toContain('UNVERIFIED_FORMAT')
      expect(report.guest).toMatchObject({ backend: 'hyperv', kernel: fixture.uname, vmcoreinfo: 'scan' })
      const { stored: found, wrong } = compareDump(file, stored)
      expect(wrong).toEqual([])
      expect(found.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
      // Offline frames are left out at every level, and so is what the file does not have.
      const offline = framesWithFlag(fixture.kpageflags, KPF.offline).filter((pfn) => stored.backed.has(pfn))
      if (level === '0') expect(found.size).toBe(stored.backed.size - offline.length)
      else expect(found.size).toBeGreaterThan(10_000)
      await ullage('verify', file)
    },
  )

  test('makedumpfile prints the guest’s log, inspect says how far the dump is to be trusted', async () => {
    const file = join(folder, `${form}-31.vmcore`)
    const log = join(folder, `${form}.log`)
    expect((await makedumpfile(['--dump-dmesg', file, log])).status).toBe(0)
    expect(readFileSync(log, 'utf8')).toContain(`Linux version ${fixture.uname}`)
    expect((await ullage('inspect', file)).stderr).toMatch(/\[UNVERIFIED_FORMAT\]$/m)
    const { warnings } = JSON.parse((await ullage('inspect', file, '--json')).stdout) as DumpReport
    expect(warnings.map(({ code }) => code)).toContain('UNVERIFIED_FORMAT')
    copyFileSync(file, `${file}.other`)
    copyFileSync(`${file}.report.json`, `${file}.other.report.json`)
    truncateSync(`${file}.other`, statSync(file).size - 1)
    expect((await ullage('inspect', `${file}.other`)).stderr).toBe('')
  })
})

test.each([
  ['half of the older pair', 'web-1.bin', /\.bin or \.vsv file is half of the pair .* \[UNSUPPORTED\]\n$/],
  ['something else', 'web-1.vmrs', /begins with 0x6f742078, a \.vmrs with 0x1282014 \[INVALID\]\n$/],
])('%s ends the dump with its reason', async (_, file, message) => {
  writeFileSync(join(folder, file), 'x to y')
  const output = join(folder, 'refused.vmcore')
  const { status, stderr } = await runUllage(['dump', descriptorOf(file), '-o', output], {
    stateDir: join(folder, 'state'),
  })
  expect(stderr).toMatch(message)
  expect([1, 2]).toContain(status)
  expect(() => statSync(output)).toThrow(/ENOENT/)
})
