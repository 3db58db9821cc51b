import type { DmSender } from './dm-message.ts'
import type { RecoveredChannel } from './recover-dm-messages.ts'

/**
 * Holds a log of the channel against the ring buffers in guest memory, taken at the same moment. Returns what differs, one
 * sentence for each sender, or nothing: a ring that has not wrapped holds all that its sender sent, one that has wrapped
 * the last of it. A difference says that the log lacks messages, is of another guest, or that the guest lies.
 */
export function compareWithRing(
  channel: RecoveredChannel,
  log: readonly { readonly from: DmSender; readonly bytes: Uint8Array }[],
): string[] {
  const differences: string[] = []
  for (const [from, ring, isWhole] of [
    ['guest', channel.fromGuest, channel.isWhole],
    ['host', channel.fromHost, true],
  ] as const) {
    const logged = log.filter((message) => message.from === from)
    const skipped = logged.length - ring.length
    if (skipped < 0 || (isWhole && skipped !== 0)) {
      differences.push(`the ring holds ${ring.length} messages of the ${from}, the log ${logged.length}`)
      continue
    }
    const first = ring.findIndex((bytes, i) => !equal(bytes, logged[skipped + i]?.bytes))
    if (first !== -1) {
      differences.push(`message ${skipped + first + 1} of the ${from} is another one in the ring than in the log`)
    }
  }
  return differences
}

/** What follows a message in its packet is no part of it. */
function equal(ring: Uint8Array, logged: Uint8Array | undefined): boolean {
  return logged !== undefined && Buffer.compare(ring, logged.subarray(0, ring.length)) === 0
}
