import { closeSync, openSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { addOurs, type RoundOptions } from './dump-rounds.ts'
import { keys } from './goals.ts'
import type { StoppedGuest } from './guest/stopped-guest.ts'
import { ullageDump } from './ullage.ts'

const PAGE_BYTES = 4096
const STRUCT_PAGE_BYTES = 64
const READ_BYTES = 4 << 20
/** A pause may take so long, and so many times what it takes to copy what must be read, in milliseconds. */
const MAY_TAKE_MS = 100
const MAY_COPY_TIMES = 1.5
/** The guest runs so long before it is dumped, in milliseconds. */
const RUNS_MS = 1000

/** One dump of the guest while it runs, and beside it one copy of as many bytes as struct pages and written pages have. */
export async function pauseRound(stopped: StoppedGuest, options: RoundOptions): Promise<void> {
  const { signal, say } = options
  const { guest, live, folder } = stopped
  const output = join(folder, 'ours')
  await guest.cont()
  await setTimeout(RUNS_MS, undefined, { signal })
  say(keys.running)
  const run = await ullageDump({ guest: live, output, level: 31, codec: 'lzo', verify: true, signal })
  await guest.stop()
  for (const path of [output, `${output}.report.json`]) rmSync(path)
  const { frames, consistency } = run.report
  if (consistency.mode !== 'paused') throw new Error(`a running guest was dumped as ${consistency.mode}`)
  const copyMs = copyOnce(stopped, frames.total * STRUCT_PAGE_BYTES + frames.byFate.write * PAGE_BYTES)
  addOurs(keys.running, run, options, { copyMs, mayPauseMs: MAY_TAKE_MS + MAY_COPY_TIMES * copyMs })
}

/** Milliseconds to read so many bytes of the guest's backed memory into one buffer. */
function copyOnce({ guest }: StoppedGuest, bytes: number): number {
  const [ram] = guest.backedRanges()
  if (ram === undefined) throw new Error('no file holds the memory of the guest')
  const into = new Uint8Array(READ_BYTES)
  const fd = openSync(ram.file, 'r')
  const started = performance.now()
  try {
    let left = bytes
    for (const { startByte, endByte } of ram.ranges) {
      for (let at = startByte; at < endByte && left > 0; ) {
        const count = readSync(fd, into, 0, Math.min(READ_BYTES, endByte - at, left), at)
        at += count
        left -= count
      }
    }
    if (left > 0) throw new Error(`the guest has ${left} bytes less than were to be copied`)
    return performance.now() - started
  } finally {
    closeSync(fd)
  }
}
