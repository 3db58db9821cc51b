import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport, PagesReport } from '@ullage/dump'
import {
  KPF,
  makedumpfile,
  openXenSaveView,
  unpackXenSave,
  XEN_SAVE_NAMES,
  type XenSave,
  type XenSaveView,
} from '@ullage/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareDump } from './compare-dump.ts'
import { runUllage } from './run-ullage.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-xen-saves-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** 192 MiB, of which 92 are in the balloon. */
const RAM_FRAMES = 0xc000
const BALLOONED = 23552

describe.each(XEN_SAVE_NAMES)('%s', (name) => {
  let save: XenSave
  let view: XenSaveView
  beforeAll(async () => {
    save = await unpackXenSave(name)
    view = openXenSaveView(save.save, RAM_FRAMES)
  })
  afterAll(() => view?.[Symbol.dispose]())

  // The shared info of a PVH guest is Xen's own memory, which the guest has in use and no image holds.
  const missing = name === 'xen-pvh-save' ? 1 : 0

  async function ullage(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await runUllage(args, { stateDir: join(folder, 'state') })
    expect(status).toBe(0)
    expect(stderr).toMatch(missing > 0 ? /^ullage: warning: 1 frames .*\[MISSING\]\n$/ : /^$/)
    return stdout
  }

  test('pages --runs: offline is the kernel’s own word, the host state is the image’s, frame by frame', async () => {
    const stdout = await ullage('pages', save.descriptor, '--runs')
    const differences: string[] = []
    let frames = 0
    for (const line of stdout.trim().split('\n')) {
      const run = JSON.parse(line) as { pfn: number; count: number; guest: string; host: string }
      for (let pfn = run.pfn; pfn < run.pfn + run.count; pfn++) {
        const isOffline = (((save.kpageflags[pfn] ?? 0n) >> BigInt(KPF.offline)) & 1n) === 1n
        if ((run.guest === 'offline') !== isOffline) differences.push(`${pfn} ${run.guest}`)
        if ((run.guest === 'noStructPage') !== pfn >= RAM_FRAMES) differences.push(`${pfn} ${run.guest}`)
        if ((run.host === 'backed') !== view.backed.has(pfn)) differences.push(`${pfn} ${run.host}`)
      }
      frames += run.count
    }
    expect(differences).toEqual([])
    expect(frames).toBe(view.extents.reduce((sum, { count }) => sum + count, 0))
  })

  test('pages --json: all offline frames are unbacked, nothing the kernel relies on is', async () => {
    const report = JSON.parse(await ullage('pages', save.descriptor, '--json')) as PagesReport
    expect(report.frames.byClass.offline).toEqual({ backed: 0, swapped: 0, unbacked: BALLOONED, unknown: 0 })
    expect(report.disagreements).toMatchObject({ missing, protectedUnbacked: 0, alarm: false })
  })

  test.each(['31', '1'])('level %s: every stored page is the image’s, by libkdumpfile', async (level) => {
    const file = join(folder, `${name}-${level}.vmcore`)
    await ullage('dump', save.descriptor, '-o', file, '--level', level)
    const report = JSON.parse(readFileSync(`${file}.report.json`, 'utf8')) as DumpReport
    const { stored, wrong } = compareDump(file, view)
    expect(wrong).toEqual([])
    expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
    expect(report.consistency).toEqual({ mode: 'file', pausedMs: 0, copiedBytes: 0 })
    expect(report.guest).toMatchObject({ kernel: save.uname, vmcoreinfo: 'scan' })
    if (level === '31') expect(stored.size).toBeGreaterThan(10_000)
    else expect(stored.size).toBe(view.backed.size)
  })

  test('makedumpfile prints the guest’s log from our dump: page tables hold the guest’s own frames, of PV too', async () => {
    const file = join(folder, `${name}-log.vmcore`)
    await ullage('dump', save.descriptor, '-o', file, '--compress', 'zlib')
    const log = join(folder, `${name}.log`)
    const { status } = await makedumpfile(['--dump-dmesg', file, log])
    expect(status).toBe(0)
    expect(readFileSync(log, 'utf8')).toContain(`Linux version ${save.uname}`)
  })
})

test('an image that was cut off ends the dump with its reason, and leaves nothing behind', async () => {
  const { save } = await unpackXenSave('xen-pvh-save')
  copyFileSync(save, join(folder, 'cut.save'))
  truncateSync(join(folder, 'cut.save'), 1 << 20)
  writeFileSync(
    join(folder, 'cut.json'),
    JSON.stringify({ backend: 'xen', source: { kind: 'save', file: 'cut.save' } }),
  )
  const output = join(folder, 'cut.vmcore')
  const { status, stderr } = await runUllage(['dump', join(folder, 'cut.json'), '-o', output], {
    stateDir: join(folder, 'state'),
  })
  expect(status).toBe(1)
  expect(stderr).toMatch(/^ullage: .*cut\.save.* cut off.*\[CORRUPT\]\n$/)
  expect(() => statSync(output)).toThrow(/ENOENT/)
})
