import type { PublishedReport } from '@ullage/dump-job'
import { expect, test } from 'vitest'
import { WorkerMetrics } from './worker-metrics.ts'

const report: PublishedReport = {
  schema: 'ullage.report/1',
  guest: { backend: 'virtio-balloon', kernel: null, vmcoreinfo: 'none', pageSize: 4096 },
  frames: { total: 0, byClass: {}, byFate: { write: 0, zero: 0, leaveOut: 0 } },
  disagreements: { reclaimableBytes: 8192, untouched: 3, inUseUnbacked: 0, offlineUntold: 0, alarm: true },
  hostMemory: { backedBytesBefore: 0, backedBytesAfter: 0, residentBytesBefore: 0, residentBytesAfter: 0 },
  trust: 'guest',
  warnings: [],
  consistency: { mode: 'paused', pausedMs: 250 },
  process: { peakBytes: 1 },
  artifact: { file: 'vmcore', bytes: 77, sha256: '0'.repeat(64), format: 'kdump', compression: 'zstd', level: 31 },
  timingsMs: { classify: 1_000, write: 2_000, verify: 3_000, total: 6_000 },
}

test('what a report says is counted, and no series names a guest', async () => {
  using metrics = new WorkerMetrics()
  metrics.published('secret-guest', report)
  metrics.published('secret-guest', report)
  metrics.published('other-guest', report)
  metrics.keepGuests(new Set(['secret-guest']))
  const text = await metrics.registry.metrics()
  expect(text).toContain('ullage_worker_phase_seconds_sum{phase="write"} 6\n')
  expect(text).toContain('ullage_worker_pause_seconds_sum 0.75\n')
  expect(text).toContain('ullage_worker_artifact_bytes_total 231\n')
  expect(text).toContain('ullage_worker_disagreement_frames_total{kind="untouched"} 9\n')
  expect(text).toContain('ullage_worker_alarms_total 3\n')
  expect(text).toContain('ullage_worker_reclaimable_bytes 8192\n')
  expect(text).not.toContain('-guest')
})

test('all that can be counted is there, and 0, before it happens', async () => {
  using metrics = new WorkerMetrics()
  const series = (await metrics.registry.metrics()).split('\n')
  for (const expected of [
    'attempts_total{outcome="succeeded",code=""}',
    'attempts_total{outcome="putBack",code=""}',
    'attempts_total{outcome="failed",code="NO_SPACE"}',
    'attempts_total{outcome="failed",code="OTHER"}',
    'phase_seconds_count{phase="write"}',
    'pause_seconds_count',
    'disagreement_frames_total{kind="untouched"}',
    'artifact_bytes_total',
    'alarms_total',
  ]) {
    expect(series).toContain(`ullage_worker_${expected} 0`)
  }
})

test('a code that is none does not become a series of its own', async () => {
  using metrics = new WorkerMetrics()
  metrics.attempt('failed', 'GUEST_BUSY')
  metrics.attempt('failed', '/srv/x of guest 7')
  metrics.attempt('failed', 'OF_A_LATER_ENGINE')
  const text = await metrics.registry.metrics()
  expect(text).toContain('{outcome="failed",code="GUEST_BUSY"} 1')
  expect(text).toContain('{outcome="failed",code="OTHER"} 2')
})
