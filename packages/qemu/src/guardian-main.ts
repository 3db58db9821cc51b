/**
 * The guardian: a process and session of its own that outlives the one that pauses a guest. It is told over its standard
 * input, line by line: the record of the guest, in JSON; then `stopping` (our `stop` is about to be sent), `running` (somebody
 * else let the guest run) and `disarm`. When its input ends and `stopping` was the last word, it lets the guest run again. In
 * any case but `disarm` it removes the record at argv[2] then.
 *
 * It is started for every pause and almost never needed, so it loads little: no streams, and no network until then.
 */
import { writeSync } from 'node:fs'
import { linesOf } from './lines-of.ts'
import { decodePauseRecord, removePauseRecord } from './pause-record.ts'
import { resumePaused } from './resume-paused.ts'

const RESUME_WITHIN_MS = 60_000

// A service that is stopped signals all its processes: this one goes last, when the guest runs.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined)

const [, , recordPath = ''] = process.argv
const lines = linesOf(0)
const { value: recordText } = await lines.next()
// Without one, whoever started it has ended before there was anything to guard.
if (recordText !== undefined) {
  const record = decodePauseRecord(recordText, 'the first line to the guardian')
  sayArmed()
  const last = await lastWord()
  if (last === 'stopping') await resumePaused(record, { withinMs: RESUME_WITHIN_MS })
  // Reached when there is nothing left to do; a failure above leaves the record for the next start of the worker.
  if (last !== 'disarm') removePauseRecord(recordPath)
}

/** The last line, or undefined when there was none. */
async function lastWord(): Promise<string | undefined> {
  let word: string | undefined
  for await (const line of lines) {
    word = line
    if (word === 'disarm') break
  }
  return word
}

function sayArmed(): void {
  try {
    writeSync(1, 'armed\n')
  } catch (error) {
    // Whoever was to read it is dead, which is what this process waits for.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error
  }
}
