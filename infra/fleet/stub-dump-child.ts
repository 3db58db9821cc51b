// A stub: dumps nothing. It says what a dump's process says, at its pace, for as long as the guest's descriptor tells.
import type { DumpOptions } from '@ullage/dump-job'
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

/** As often as the process that dumps says how far it is, in milliseconds. */
const SAYS_EVERY_MS = 250
/** Frames of a guest of 64 GiB: numbers of as many digits as real ones. */
const FRAMES = 2 ** 24

/** Of what the worker asks. Nothing is parsed here with more than JSON: 200 of these start, on any machine. */
interface Task {
  readonly descriptor: string
  readonly output: string
  readonly options: DumpOptions
}

process.once('disconnect', () => process.exit(1))
process.once('message', (message) => {
  void answer(message as Task).then((report) =>
    process.send?.({ say: 'dumped', report, delivered: { storedBytes: 9, parts: [] } }, () => process.exit(0)),
  )
})

async function answer({ descriptor, output, options }: Task): Promise<object> {
  const { seconds } = JSON.parse(readFileSync(descriptor, 'utf8')) as { readonly seconds: number }
  say('classify', 0)
  say('classify', FRAMES)
  const times = Math.ceil((seconds * 1000) / SAYS_EVERY_MS)
  for (let i = 0; i < times; i++) {
    say('write', Math.floor((FRAMES * i) / times))
    await setTimeout(SAYS_EVERY_MS)
  }
  for (const stage of ['write', 'verify'] as const) say(stage, FRAMES)
  writeFileSync(output, 'of a stub')
  return reportOf(options)
}

function say(stage: 'classify' | 'write' | 'verify', done: number): void {
  process.send?.({ say: 'progress', progress: { stage, done, total: FRAMES } })
}

function reportOf({ level, compression, format, trust }: DumpOptions): object {
  const none = { backed: 0, swapped: 0, unbacked: 0, unknown: 0 }
  return {
    schema: 'ullage.report/1',
    guest: { backend: 'stub', kernel: null, vmcoreinfo: 'none', pageSize: 4096 },
    frames: {
      total: FRAMES,
      byClass: { inUse: { ...none, backed: FRAMES } },
      byFate: { write: FRAMES, zero: 0, leaveOut: 0 },
    },
    disagreements: { reclaimableBytes: 0, untouched: 0, inUseUnbacked: 0, offlineUntold: 0, alarm: false },
    hostMemory: { backedBytesBefore: 0, backedBytesAfter: 0, residentBytesBefore: 0, residentBytesAfter: 0 },
    trust,
    warnings: [],
    consistency: { mode: 'paused', pausedMs: 12345 },
    process: { peakBytes: 2 ** 28 },
    artifact: { file: 'vmcore', bytes: 2 ** 32, sha256: 'a'.repeat(64), format, compression, level },
    timingsMs: { classify: 12345, write: 23456, verify: 12345, total: 56789 },
  }
}
