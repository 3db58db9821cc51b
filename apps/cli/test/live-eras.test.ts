import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport } from '@ullage/dump'
import { bootGuest, ERA_NAMES, KPF, type LabGuest, makedumpfile, openStoppedMemory } from '@ullage/lab'
import { compressions } from '@ullage/vmcore'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareDump } from './compare-dump.ts'
import { runUllage } from './run-ullage.ts'

const MiB = 1 << 20
const BALLOON_MIB = 96

const folder = mkdtempSync(join(tmpdir(), 'ullage-live-dumps-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe.each(ERA_NAMES)('a live guest of era %s', (era) => {
  let guest: LabGuest
  let descriptor: string
  beforeAll(async () => {
    guest = await bootGuest({ era, memMiB: 256, balloonMiB: BALLOON_MIB })
    descriptor = join(folder, `${era}.json`)
    writeFileSync(
      descriptor,
      JSON.stringify({ backend: 'virtio-balloon', source: { kind: 'qmp', socket: guest.qmpSocket } }),
    )
  })
  afterAll(() => guest?.[Symbol.asyncDispose]())

  async function dump(file: string, ...args: string[]): Promise<DumpReport> {
    const path = join(folder, file)
    const result = await runUllage(['dump', descriptor, '-o', path, ...args], { stateDir: join(folder, 'state') })
    expect(result.stderr).toBe('')
    expect(result.status).toBe(0)
    return JSON.parse(readFileSync(`${path}.report.json`, 'utf8')) as DumpReport
  }

  const backedBytes = () =>
    guest
      .backedRanges()
      .flatMap(({ ranges }) => ranges)
      .reduce((sum, range) => sum + range.endByte - range.startByte, 0)

  test('runs on after a dump; the balloon is offline and unbacked; the host gives not one page', async () => {
    const { kpageflags } = await guest.truth()
    const offline = kpageflags.reduce((sum, flags) => sum + Number((flags >> BigInt(KPF.offline)) & 1n), 0)
    for (const level of ['31', '0']) {
      const report = await dump(`${era}-level${level}.vmcore`, '--level', level)
      expect(report.consistency.mode).toBe('paused')
      expect(report.consistency.pausedMs).toBeGreaterThan(0)
      expect(report.consistency.copiedBytes).toBeGreaterThanOrEqual(report.frames.byFate.write * 4096)
      expect(report.guest).toMatchObject({ kernel: guest.era.release, vmcoreinfo: 'note' })
      expect(report.frames.byClass.offline).toEqual({ backed: 0, swapped: 0, unbacked: offline, unknown: 0 })
      expect(offline).toBeGreaterThanOrEqual((BALLOON_MIB * MiB) / 4096)
      expect(report.hostMemory.backedBytesAfter).toBe(report.hostMemory.backedBytesBefore)
      expect(report.hostMemory.residentBytesAfter).toBe(report.hostMemory.residentBytesBefore)
      expect(report.disagreements.alarm).toBe(false)
      expect(await guest.status()).toBe('running')
    }
    expect((await guest.exec('cat /proc/uptime')).trim()).not.toBe('')
  })

  test('stopped: stays stopped, every page of every codec is its memory, and QEMU’s own dump grows the host', async () => {
    await guest.stop()
    const before = backedBytes()
    using memory = await openStoppedMemory(guest)
    expect(backedBytes()).toBe(before)
    for (const compression of compressions) {
      const file = `${era}-${compression}.vmcore`
      const report = await dump(file, '--compress', compression)
      expect(report.consistency).toEqual({ mode: 'stopped', pausedMs: 0, copiedBytes: 0 })
      const { stored, wrong } = compareDump(join(folder, file), memory.view)
      expect(wrong).toEqual([])
      expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
    }
    expect(await guest.status()).toBe('paused')
    expect(backedBytes()).toBe(before)

    const log = join(folder, `${era}.log`)
    const printed = await makedumpfile(['--dump-dmesg', join(folder, `${era}-zlib.vmcore`), log])
    expect(`${printed.stdout}${printed.stderr}`).not.toMatch(/fail|error/i)
    expect(readFileSync(log, 'utf8')).toContain(`Linux version ${guest.era.release}`)

    await guest.qmp('dump-guest-memory', { paging: false, protocol: `file:${join(guest.folder, 'qemu.elf')}` })
    expect(backedBytes()).toBeGreaterThan(before + (BALLOON_MIB * MiB) / 2)
    await guest.cont()
  })
})
