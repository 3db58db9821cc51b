import type { OpenGuest } from '@ullage/offline-query'
import type { DmState } from './dm-state.ts'

/** Where the messages came from. */
export interface ChannelSource {
  /** Its name, for messages. */
  readonly about: string
  /** How many messages, or events that stand for them, were in it. */
  readonly messages: number
  /** The line of the first fault, where there are lines. */
  readonly firstFault?: number | undefined
}

/** What a person should know about what a channel's messages leave open. */
export function channelWarnings(state: DmState, source: ChannelSource): OpenGuest['warnings'] {
  return [...startMissing(state, source), ...faults(state, source), ...unanswered(state)]
}

function startMissing(state: DmState, { about, messages }: ChannelSource): OpenGuest['warnings'] {
  if (state.sawStart) return []
  const found = messages === 0 ? 'holds no messages' : 'begins in the middle of the channel'
  const text = `${about} ${found}: what was ballooned or hot-added before is unknown`
  return [{ code: 'DM_START_MISSING', text }]
}

function faults(state: DmState, { about, firstFault }: ChannelSource): OpenGuest['warnings'] {
  const [first] = state.faults
  if (first === undefined) return []
  const counts = state.faults.map(({ code, count }) => `${code} ${count}`).join(', ')
  const where = firstFault === undefined ? 'the first' : `the first in line ${firstFault}`
  const text = `faults in the messages of ${about} (${counts}), ${where}: ${first.first.text}; what they leave open is unknown`
  return [{ code: 'DM_FAULTS', text }]
}

function unanswered(state: DmState): OpenGuest['warnings'] {
  if (state.unansweredFrames === 0) return []
  const text = `the guest has not answered for ${state.unansweredFrames} frames that it was asked to balloon: it may be about to, or ignore it for ever, as one that can hibernate does`
  return [{ code: 'DM_UNANSWERED', text }]
}
