import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { open, readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { WriteFollower } from '@ullage/artifact-store'
import { z } from 'zod'
import { serveParent } from '../src/serve-parent.ts'

/** Test double of the engine: what a "dump" does is written in the guest's descriptor. */
const descriptor = z.object({
  backend: z.literal('test-double'),
  tenant: z.string().optional(),
  /** Ends the n-th attempt (from 1) with the n-th of these; the last one holds for all that follow. */
  attempts: z
    .array(
      z.enum([
        'succeed',
        'slow',
        'long',
        'hang',
        'crash',
        'exit',
        'block',
        'unavailable',
        'unsupported',
        'odd',
        'silent',
      ]),
    )
    .min(1),
  /** File in which attempts are counted. */
  counter: z.string(),
  /** What the artifact is said to take and takes, in bytes, and a file that has to be there before it is finished. */
  space: z
    .strictObject({ atLeastBytes: z.int(), atMostBytes: z.int(), writtenBytes: z.int(), until: z.string().optional() })
    .optional(),
})
type Descriptor = z.infer<typeof descriptor>
type Guest = Descriptor & AsyncDisposable

/** How long an attempt that is `slow` shows progress before it succeeds, in milliseconds. */
const SLOW_MS = 3_000
/** How long one that is `long` takes, longer than a lock lasts in these tests, in milliseconds. */
const LONG_MS = 8_000

const CONTENT = Buffer.from('what the double dumps')

/** What is written at a time of an artifact that takes space, in bytes, and how long that takes besides, in milliseconds. */
const PIECE = Buffer.alloc(1 << 20, 1)
const PIECE_MS = 10

serveParent<Descriptor, Guest>({
  async loadDescriptor(path) {
    return descriptor.parse(JSON.parse(await readFile(path, 'utf8')))
  },
  async openGuest(found) {
    return { ...found, [Symbol.asyncDispose]: async () => undefined }
  },
  async dumpGuest(guest, { output, admit, follower, signal, onProgress, level, compression, format, trust }) {
    const { atLeastBytes, atMostBytes } = guest.space ?? { atLeastBytes: 0, atMostBytes: CONTENT.length }
    await admit?.({ atLeastBytes, atMostBytes })
    const attempt = await countAttempt(guest.counter)
    const ending = guest.attempts[Math.min(attempt, guest.attempts.length) - 1]
    follower?.begin({ path: output, atMostBytes })
    await writeFile(output, CONTENT.subarray(0, 5))
    onProgress?.({ stage: 'write', done: attempt, total: 10 })
    if (ending === 'crash') process.kill(process.pid, 'SIGSEGV')
    if (ending === 'exit') process.exit(3)
    if (ending === 'block') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    if (ending === 'unavailable') throw Object.assign(new Error('the double is away'), { code: 'UNAVAILABLE' })
    if (ending === 'unsupported') throw Object.assign(new Error('the double is too old'), { code: 'UNSUPPORTED' })
    if (ending === 'odd') throw new Error('something nobody thought of')
    try {
      if (ending === 'hang') await beat(onProgress, signal, Number.POSITIVE_INFINITY)
      if (ending === 'slow') await beat(onProgress, signal, SLOW_MS)
      if (guest.space) await writePieces(output, guest.space.writtenBytes, follower)
      while (guest.space?.until !== undefined && !existsSync(guest.space.until)) await beat(onProgress, signal, 100)
      if (ending === 'silent') await delay(1e8, undefined, signal ? { signal } : {})
    } catch (error) {
      await rm(output)
      throw error
    }
    if (ending === 'long') await delay(LONG_MS)
    if (!guest.space) await writeFile(output, CONTENT)
    onProgress?.({ stage: 'verify', done: 1, total: 1 })
    return reportOf(output, { level, compression, format, trust })
  },
  async pagesOf() {
    return {
      guest: { backend: 'test-double', kernel: null, pageSize: 4096 },
      frames: { total: 0, byClass: {} },
      warnings: [],
    }
  },
})

async function beat(
  onProgress: ((p: { stage: 'write'; done: number; total: number }) => void) | undefined,
  signal: AbortSignal | undefined,
  forMs: number,
) {
  const end = performance.now() + forMs
  for (let done = 0; performance.now() < end; done++) {
    onProgress?.({ stage: 'write', done, total: 1e6 })
    await delay(50, undefined, signal ? { signal } : {})
  }
}

async function writePieces(output: string, bytes: number, follower: WriteFollower | undefined): Promise<void> {
  await using file = await open(output, 'w')
  for (let at = 0; at < bytes; at += PIECE.length) {
    await file.write(PIECE, 0, Math.min(PIECE.length, bytes - at), at)
    follower?.wrote(at, Math.min(PIECE.length, bytes - at))
    await delay(PIECE_MS)
  }
}

async function countAttempt(path: string): Promise<number> {
  const before = await readFile(path, 'utf8').catch(() => '0')
  const attempt = Number(before) + 1
  await writeFile(path, String(attempt))
  return attempt
}

function reportOf(file: string, options: object) {
  const sha256 = createHash('sha256').update(CONTENT).digest('hex')
  return {
    schema: 'ullage.report/1',
    guest: { backend: 'test-double', kernel: null, vmcoreinfo: 'none', pageSize: 4096 },
    frames: { total: 0, byClass: {}, byFate: { write: 0, zero: 0, leaveOut: 0 } },
    disagreements: { reclaimableBytes: 0, untouched: 0, inUseUnbacked: 0, offlineUntold: 0, alarm: false },
    hostMemory: { backedBytesBefore: 0, backedBytesAfter: 0, residentBytesBefore: 0, residentBytesAfter: 0 },
    trust: 'guest',
    warnings: [],
    consistency: { mode: 'paused', pausedMs: 5 },
    process: { peakBytes: 1 },
    artifact: { file, bytes: CONTENT.length, sha256, ...options },
    timingsMs: { classify: 1, write: 2, verify: 3, total: 6 },
  }
}
