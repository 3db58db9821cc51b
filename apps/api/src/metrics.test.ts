import { expect, test } from 'vitest'
import { api } from '../test/api-under-test.ts'

const metrics = async () => (await api.app.inject('/metrics')).body

test('dumps that wait are counted by host, and what a finished one found by kind', async () => {
  await api.post({ guest: 'web-2' })
  expect(await metrics()).toContain('ullage_active_dumps{host="h1",state="queued"} 1\n')
  const { id } = (await api.post({ guest: 'web-1' })).json()
  const artifact = {
    file: 'vmcore',
    bytes: 9,
    sha256: '0'.repeat(64),
    format: 'kdump',
    compression: 'zstd',
    level: 31,
  } as const
  const disagreements = { reclaimableBytes: 2 ** 25, untouched: 4, inUseUnbacked: 0, offlineUntold: 0 }
  const result = { artifact, pausedMs: 5, alarm: false, warnings: [], totalMs: 50, disagreements }
  api.queue.set(id, { state: 'succeeded', attempts: 1, startedMs: 1_000, finishedMs: 2_000, result })
  await api.follow.look(id)
  const text = await metrics()
  expect(text).toContain('ullage_disagreement_frames_total{kind="untouched"} 4\n')
  expect(text).toContain('ullage_reclaimable_bytes_bucket{le="16777216"} 0\n')
  expect(text).toContain('ullage_reclaimable_bytes_bucket{le="134217728"} 1\n')
  expect(text).not.toMatch(/web-|[0-9a-f]{8}-[0-9a-f]{4}/)
})

test('all ends of a dump, and all that alerts count, are there and 0 before any has come', async () => {
  const series = (await metrics()).split('\n')
  for (const expected of [
    'dumps_finished_total{state="lost",code="LOST"}',
    'dumps_finished_total{state="failed",code="NO_SPACE"}',
    'dumps_finished_total{state="failed",code="OTHER"}',
    'dumps_finished_total{state="succeeded",code=""}',
    'dumps_finished_total{state="cancelled",code="CANCELLED"}',
    'dump_pause_seconds_count',
    'dump_pause_seconds_bucket{le="10"}',
    'disagreement_frames_total{kind="untouched"}',
    'alarms_total',
  ]) {
    expect(series).toContain(`ullage_${expected} 0`)
  }
})

test('an end that comes later is no new series, whatever its code is', async () => {
  const finished = async () =>
    new Map(
      (await metrics())
        .split('\n')
        .filter((line) => line.startsWith('ullage_dumps_finished_total{'))
        .map((line) => line.split(' ') as [string, string]),
    )
  const before = await finished()
  for (const [guest, code] of [
    ['web-1', 'NO_SPACE'],
    ['web-2', 'OF_A_LATER_WORKER'],
  ] as const) {
    const { id } = (await api.post({ guest })).json()
    api.queue.set(id, { state: 'failed', attempts: 1, finishedMs: 2_000, failure: { code, message: 'it was full' } })
    await api.follow.look(id)
  }
  const after = await finished()
  expect([...after.keys()]).toEqual([...before.keys()])
  expect(after.get('ullage_dumps_finished_total{state="failed",code="NO_SPACE"}')).toBe('1')
  expect(after.get('ullage_dumps_finished_total{state="failed",code="OTHER"}')).toBe('1')
})
