import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DumpReport } from '@ullage/dump'
import { bootGuest, makedumpfile } from '@ullage/lab'
import { afterAll, expect, test } from 'vitest'
import { runUllage } from './run-ullage.ts'

const MEM_MIB = 512
/** What the guest is left, by turns. */
const TARGETS_MIB = [448, 160] as const
const FRAMES_PER_MIB = 256
/** Dumps that must have met a balloon on its way, and the most that are tried for it. */
const MET = 3
const TRIES = 30

const folder = mkdtempSync(join(tmpdir(), 'ullage-moving-balloon-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a balloon that moves while the guest is dumped stands still with it: no dump contradicts itself', async () => {
  await using guest = await bootGuest({ era: 'trixie', memMiB: MEM_MIB })
  const descriptor = join(folder, 'guest.json')
  const source = { kind: 'qmp', socket: guest.qmpSocket }
  writeFileSync(descriptor, JSON.stringify({ backend: 'virtio-balloon', source }))

  const over = new AbortController()
  const moving = moveBalloon((targetMiB) => guest.balloon(targetMiB), over.signal)
  const met: number[] = []
  try {
    for (let i = 0; i < TRIES && met.length < MET; i++) {
      const path = join(folder, `${i}.vmcore`)
      const ended = await runUllage(['dump', descriptor, '-o', path], { stateDir: join(folder, 'state') })
      expect(ended).toMatchObject({ status: 0, stderr: '' })
      const report = JSON.parse(readFileSync(`${path}.report.json`, 'utf8')) as DumpReport
      const { offline } = report.frames.byClass
      // The guest marks a page before it gives it away, and unmarks it after it has asked for it back.
      expect(report).toMatchObject({ consistency: { mode: 'paused' }, warnings: [], disagreements: { alarm: false } })
      expect(report.hostMemory.backedBytesAfter).toBe(report.hostMemory.backedBytesBefore)
      const frames = offline.backed + offline.unbacked
      if (!TARGETS_MIB.some((target) => frames === (MEM_MIB - target) * FRAMES_PER_MIB)) {
        met.push(frames)
        const log = join(folder, `${i}.log`)
        await makedumpfile(['--dump-dmesg', path, log])
        expect(readFileSync(log, 'utf8')).toContain('Linux version')
      }
      rmSync(path)
    }
  } finally {
    over.abort()
    await moving
  }
  expect(met).toHaveLength(MET)
  expect(await guest.status()).toBe('running')
  expect((await guest.exec('cat /proc/uptime')).trim()).not.toBe('')
})

async function moveBalloon(balloon: (targetMiB: number) => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) await balloon(TARGETS_MIB[turn % TARGETS_MIB.length] as number)
}
