/**
 * The guardian: a process and session of its own that outlives the one that pauses a guest. It is told over its standard
 * input, line by line, `stopping` (our `stop` is about to be sent), `running` (somebody else let the guest run) and
 * `disarm`. When its input ends and `stopping` was the last word, it lets the guest run again.
 */
import { decodePauseRecord, removePauseRecord } from './pause-record.ts'
import { resumePaused } from './resume-paused.ts'

const RESUME_WITHIN_MS = 60_000

// A service that is stopped signals all its processes: this one goes last, when the guest runs.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => undefined)
// Whoever read these is dead when they break, which is what this process waits for.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

const [, , recordPath = '', recordText = ''] = process.argv
const record = decodePauseRecord(recordText, 'the command line of the guardian')

process.stdout.write('armed\n')
const last = await lastWord()
if (last === 'stopping') await resumePaused(record, { withinMs: RESUME_WITHIN_MS })
// Reached when there is nothing left to do; a failure above leaves the record for the next start of the worker.
if (last !== 'disarm') removePauseRecord(recordPath)

/** The last complete line on standard input, or undefined when it ended without any. */
async function lastWord(): Promise<string | undefined> {
  let text = ''
  let word: string | undefined
  process.stdin.setEncoding('utf8')
  try {
    for await (const chunk of process.stdin) {
      const lines = (text + String(chunk)).split('\n')
      text = lines.pop() ?? ''
      word = lines.at(-1) ?? word
      if (word === 'disarm') break
    }
  } catch (error) {
    // A broken pipe is an end like any other.
    if (!(error instanceof Error && 'code' in error && error.code === 'ECONNRESET')) throw error
  }
  return word
}
