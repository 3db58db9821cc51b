import type { PublishedReport } from '@ullage/dump-job'

/** A report of an artifact of so many bytes, with a digest of nothing in particular unless there is one. */
export function reportOf(bytes: number, sha256 = 'a'.repeat(64)): PublishedReport {
  return {
    schema: 'ullage.report/1',
    guest: { backend: 'xen', kernel: null, vmcoreinfo: 'none', pageSize: 4096 },
    frames: { total: 0, byClass: {}, byFate: { write: 0, zero: 0, leaveOut: 0 } },
    disagreements: { reclaimableBytes: 0, untouched: 0, inUseUnbacked: 0, offlineUntold: 0, alarm: false },
    hostMemory: { backedBytesBefore: 0, backedBytesAfter: 0, residentBytesBefore: 0, residentBytesAfter: 0 },
    trust: 'guest',
    warnings: [],
    consistency: { mode: 'file', pausedMs: 0 },
    process: { peakBytes: 1 },
    artifact: { file: 'vmcore', bytes, sha256, format: 'kdump', compression: 'zstd', level: 31 },
    timingsMs: { classify: 0, write: 0, verify: 0, total: 0 },
  }
}
