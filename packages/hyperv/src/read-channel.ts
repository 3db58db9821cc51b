import { basename } from 'node:path'
import type { OpenGuest } from '@ullage/offline-query'
import type { PfnRange } from '@ullage/pages'
import { channelWarnings } from './channel-warnings.ts'
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
    warnings: channelWarnings(state, { about, messages, firstFault }),
  }
}
