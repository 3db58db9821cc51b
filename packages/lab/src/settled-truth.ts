import { gunzipSync } from 'node:zlib'
import { LabError } from './lab-error.ts'
import type { LabGuest } from './lab-guest.ts'
import { waitUntil } from './wait-until.ts'

/** The guest's word on each of its frames, at one moment. */
export interface FrameWords {
  readonly kpageflags: BigUint64Array
  readonly kpagecount: BigUint64Array
}

/** The guest's word before and after it was stopped, told while nothing else ran in it. */
export interface SettledTruth {
  readonly before: FrameWords
  readonly after: FrameWords
}

const TIMEOUT_MS = 60_000

/**
 * Between its two readings the guest waits this many seconds of its own time, in which nothing runs: it is to be stopped in
 * them.
 */
const PAUSE_SECONDS = 6

/**
 * One process reads both files, waits, and reads them again: into a file whose pages are there already, with no other
 * process started or ended between. What tells that it has read is a shell that only opens pipes.
 */
const SCRIPT = String.raw`
set -e
rm -f /tmp/words-* /tmp/gate-*
for turn in 1 2; do cat /proc/kpageflags /proc/kpagecount; done > /tmp/words-both
mkfifo /tmp/gate-1 /tmp/gate-2 /tmp/gate-3 /tmp/gate-never
cat > /tmp/words-script << 'END'
cat /tmp/gate-1 /proc/kpageflags /proc/kpagecount /tmp/gate-2 /proc/kpageflags /proc/kpagecount /tmp/gate-3 1<> /tmp/words-both &
exec 8<> /tmp/gate-never
read -t 2 line <&8
exec 5> /tmp/gate-1
exec 5>&-
exec 6> /tmp/gate-2
echo lab: frames told once > /dev/console
read -t ${PAUSE_SECONDS} line <&8
exec 6>&-
exec 7> /tmp/gate-3
echo lab: frames told twice > /dev/console
read line <&8
END
sh /tmp/words-script &
`

/**
 * Has the guest tell the flags and counts of its frames, stops it for as long as `look` takes, and has it tell them once
 * more. Frames of which it says the same both times were so in between. Throws LabError when the guest told the second
 * time before it was stopped, which a very slow host may bring about.
 */
export async function settledTruth<T>(guest: LabGuest, look: () => Promise<T>): Promise<SettledTruth & { seen: T }> {
  await guest.exec(SCRIPT)
  const told = (times: string) => guest.consoleText().includes(`lab: frames told ${times}`)
  await waitUntil(async () => told('once'), { what: () => 'the guest has not told its frames', timeoutMs: TIMEOUT_MS })
  await guest.stop()
  if (told('twice')) throw new LabError(`the guest was stopped later than ${PAUSE_SECONDS} s after it told its frames`)
  const seen = await look()
  await guest.cont()
  await waitUntil(async () => told('twice'), {
    what: () => 'the guest has not told its frames again',
    timeoutMs: TIMEOUT_MS,
  })
  const packed = await guest.exec('gzip -c /tmp/words-both | base64')
  const bytes = new Uint8Array(gunzipSync(Buffer.from(packed, 'base64')))
  if (bytes.length === 0 || bytes.length % 32 !== 0) {
    throw new LabError(`expected two times two words a frame from the guest, found ${bytes.length} bytes`)
  }
  const frames = bytes.length / 32
  const words = (part: number) => new BigUint64Array(bytes.buffer, part * frames * 8, frames)
  return {
    seen,
    before: { kpageflags: words(0), kpagecount: words(1) },
    after: { kpageflags: words(2), kpagecount: words(3) },
  }
}
