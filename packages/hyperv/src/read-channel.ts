import { basename } from 'node:path'
import type { OpenGuest } from '@ullage/offline-query'
import type { PfnRange } from '@ullage/pages'
import type { DmRanges } from './dm-ranges.ts'
import { DmState } from './dm-state.ts'
import { readDmMessages } from './read-dm-messages.ts'

/** Where the messages of a file end, and what a person should know about them. */
export interface Channel {
  readonly ranges: DmRanges
  readonly warnings: OpenGuest['warnings']
}

/** Feeds all messages of `path` to a `DmState`. Throws OfflineError `INVALID` for lines that are no messages. */
export async function readChannel(
  path: string,
  options: { ram: readonly PfnRange[]; signal?: AbortSignal | undefined },
): Promise<Channel> {
  const state = new DmState({ ram: options.ram })
  let messages = 0
  let firstFault: number | undefined
  for await (const { line, from, bytes } of readDmMessages(path, { signal: options.signal })) {
    messages++
    if (state.take(from, bytes).length > 0) firstFault ??= line
  }
  const about = basename(path)
  return {
    ranges: state.ranges(),
    warnings: [...startMissing(state, messages, about), ...faults(state, firstFault, about), ...unanswered(state)],
  }
}

function startMissing(state: DmState, messages: number, about: string): OpenGuest['warnings'] {
  if (state.sawStart) return []
  const found = messages === 0 ? 'holds no messages' : 'begins in the middle of the channel'
  const text = `${about} ${found}: what was ballooned or hot-added before is unknown`
  return [{ code: 'DM_START_MISSING', text }]
}

function faults(state: DmState, line: number | undefined, about: string): OpenGuest['warnings'] {
  const [first] = state.faults
  if (first === undefined) return []
  const counts = state.faults.map(({ code, count }) => `${code} ${count}`).join(', ')
  const text = `faults in the messages of ${about} (${counts}), the first in line ${line}: ${first.first.text}; what they leave open is unknown`
  return [{ code: 'DM_FAULTS', text }]
}

function unanswered(state: DmState): OpenGuest['warnings'] {
  if (state.unansweredFrames === 0) return []
  const text = `the guest has not answered for ${state.unansweredFrames} frames that it was asked to balloon: it may be about to, or ignore it for ever, as one that can hibernate does`
  return [{ code: 'DM_UNANSWERED', text }]
}
