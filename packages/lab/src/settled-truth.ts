import { gunzipSync } from 'node:zlib'
import { frameTeller, TOLD_ONCE, TOLD_TWICE } from './frame-teller.ts'
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

/** The guest is to be stopped while its program waits, in seconds of the guest's own time. */
const WAIT_SECONDS = 6

/** What started the program is gone by then. */
const SETTLE_SECONDS = 2

/** The file has all its pages before the program starts. */
const script = (program: string): string => String.raw`
set -e
for turn in 1 2; do cat /proc/kpageflags /proc/kpagecount; done > /tmp/frame-words
echo ${program} | base64 -d > /tmp/frame-teller
chmod +x /tmp/frame-teller
/tmp/frame-teller 1<> /tmp/frame-words 3< /proc/kpageflags 4< /proc/kpagecount 5> /dev/console &
`

/**
 * Has the guest tell the flags and counts of its frames, stops it for as long as `look` takes, and has it tell them once
 * more. Frames of which it says the same both times were so in between: all that runs is a program that keeps what it has and
 * takes nothing more. Once a guest. Throws LabError when the guest told the second
 * time before it was stopped, which a very slow host may bring about.
 */
export async function settledTruth<T>(guest: LabGuest, look: () => Promise<T>): Promise<SettledTruth & { seen: T }> {
  const program = frameTeller({ settleSeconds: SETTLE_SECONDS, waitSeconds: WAIT_SECONDS })
  await guest.exec(script(Buffer.from(program).toString('base64')))
  const told = (what: string) => guest.consoleText().includes(what.trim())
  await waitUntil(async () => told(TOLD_ONCE), {
    what: () => 'the guest has not told its frames',
    timeoutMs: TIMEOUT_MS,
  })
  await guest.stop()
  if (told(TOLD_TWICE))
    throw new LabError(`the guest was stopped later than ${WAIT_SECONDS} s after it told its frames`)
  const seen = await look()
  await guest.cont()
  await waitUntil(async () => told(TOLD_TWICE), {
    what: () => 'the guest has not told its frames again',
    timeoutMs: TIMEOUT_MS,
  })
  const packed = await guest.exec('gzip -c /tmp/frame-words | base64')
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
