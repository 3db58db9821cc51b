import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport } from '@ullage/dump'
import { bootGuest, makedumpfile } from '@ullage/lab'
import { afterAll, expect, test, vi } from 'vitest'
import { runUllage } from './run-ullage.ts'

const BALLOON_MIB = 64

const folder = mkdtempSync(join(tmpdir(), 'ullage-hung-guest-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a guest whose kernel has panicked, and in which nothing runs any more, is dumped as it is', async () => {
  await using guest = await bootGuest({ era: 'trixie', memMiB: 256, balloonMiB: BALLOON_MIB })
  // It is to stay where it is, and not to start anew.
  await guest.exec('echo 0 > /proc/sys/kernel/panic')
  const asked = guest.exec('echo c > /proc/sysrq-trigger').catch(() => 'nobody answers any more')
  await vi.waitUntil(() => guest.consoleText().includes('---[ end Kernel panic'), { timeout: 60_000 })

  const descriptor = join(folder, 'guest.json')
  const source = { kind: 'qmp', socket: guest.qmpSocket }
  writeFileSync(descriptor, JSON.stringify({ backend: 'virtio-balloon', source }))
  const path = join(folder, 'vmcore')
  const ended = await runUllage(['dump', descriptor, '-o', path], { stateDir: join(folder, 'state') })
  expect(ended).toMatchObject({ status: 0, stderr: '' })
  const report = JSON.parse(readFileSync(`${path}.report.json`, 'utf8')) as DumpReport
  expect(report).toMatchObject({
    guest: { kernel: guest.era.release, vmcoreinfo: 'note' },
    frames: { byClass: { offline: { backed: 0, unbacked: BALLOON_MIB * 256 } } },
    consistency: { mode: 'paused' },
    disagreements: { alarm: false },
    warnings: [],
  })
  expect(report.hostMemory.backedBytesAfter).toBe(report.hostMemory.backedBytesBefore)
  const log = join(folder, 'log')
  await makedumpfile(['--dump-dmesg', path, log])
  expect(readFileSync(log, 'utf8')).toMatch(/Kernel panic - not syncing: sysrq triggered crash/)
  expect(await guest.status()).toBe('running')
  await guest[Symbol.asyncDispose]()
  await asked
})
