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
