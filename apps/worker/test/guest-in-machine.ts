import { bootGuest } from '@ullage/lab'
import { setTimeout as delay } from 'node:timers/promises'

/** Boots a guest; prints its QMP socket, then its run state, a line each time that it changes. */
const LOOK_EVERY_MS = 20

const guest = await bootGuest({ era: 'bookworm', memMiB: 384, balloonMiB: 64, fillMiB: 128 })
process.stdout.write(`socket ${guest.qmpSocket}\n`)
process.once('SIGTERM', () => void guest[Symbol.asyncDispose]().then(() => process.exit(0)))
for (let last = ''; ; await delay(LOOK_EVERY_MS)) {
  const status = await guest.status()
  if (status !== last) process.stdout.write(`${status}\n`)
  last = status
}
