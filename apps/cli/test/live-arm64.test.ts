import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bootGuest, openKdumpfile, openStoppedMemory } from '@ullage/lab'
import { afterAll, expect, test } from 'vitest'
import { BALLOON_MIB, dumpArm64, MiB, offlineFrames } from './arm64-guest.ts'
import { compareDump } from './compare-dump.ts'
import { runUllage } from './run-ullage.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-live-arm64-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a live arm64 guest: the balloon is offline and unbacked, the dump its memory, the host gives not one page', async () => {
  await using guest = await bootGuest({ era: 'trixie-arm64', memMiB: 256, balloonMiB: BALLOON_MIB })
  const truth = await guest.truth()
  expect(truth.vmcoreinfoText).toContain('NUMBER(TCR_EL1_T1SZ)=0xc\n')
  const offline = offlineFrames(truth)
  expect(offline).toBeGreaterThanOrEqual((BALLOON_MIB * MiB) / 4096)
  const live = await dumpArm64(guest, join(folder, 'live.vmcore'))
  expect(live).toMatchObject({
    guest: { kernel: guest.era.release, vmcoreinfo: 'note', pageSize: 4096, machine: 'aarch64' },
    consistency: { mode: 'paused' },
    warnings: [],
  })
  expect(live.frames.total).toBe((256 * MiB) / 4096)
  expect(live.frames.byClass.offline).toEqual({ backed: 0, swapped: 0, unbacked: offline, unknown: 0 })
  expect(live.hostMemory.backedBytesAfter).toBe(live.hostMemory.backedBytesBefore)
  expect(live.disagreements.alarm).toBe(false)
  expect(await guest.status()).toBe('running')

  await guest.stop()
  using memory = await openStoppedMemory(guest)
  for (const level of ['31', '1']) {
    const file = join(folder, `level${level}.vmcore`)
    const report = await dumpArm64(guest, file, '--level', level)
    const { stored, wrong } = compareDump(file, memory.view)
    expect(wrong).toEqual([])
    expect(stored.size).toBe(report.frames.byFate.write + report.frames.byFate.zero)
    using kdump = openKdumpfile(file)
    expect([kdump.text('arch.name'), kdump.number('arch.page_size')]).toEqual(['aarch64', 4096n])
    const verified = await runUllage(['verify', file], { stateDir: folder })
    expect(`${verified.status} ${verified.stderr}`).toBe('0 ')
  }
})
