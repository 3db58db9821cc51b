import { setTimeout as delay } from 'node:timers/promises'
import { isRunning } from '@ullage/native'
import { toObject, toText } from './json-fields.ts'
import type { PauseRecord } from './pause-record.ts'
import { QemuError } from './qemu-error.ts'
import { QmpClient } from './qmp-client.ts'

/**
 * How a guest that somebody left paused was found: `resumed` by this call, `notPaused` (it runs, or has stopped for a
 * reason of its own), `gone` (its QEMU has ended).
 */
export type ResumeOutcome = 'resumed' | 'notPaused' | 'gone'

const RETRY_MS = 100

/**
 * Lets the guest of `record` run again, retrying until `withinMs` are over: its monitor may be held by another client for
 * a while. Only a guest in state `paused` of the very QEMU process of the record is resumed. Throws QemuError.
 */
export async function resumePaused(record: PauseRecord, options: { withinMs: number }): Promise<ResumeOutcome> {
  const deadline = performance.now() + options.withinMs
  for (;;) {
    if (!isRunning(record.qemu)) return 'gone'
    const leftMs = deadline - performance.now()
    try {
      // A waiting connection is served the moment the monitor is free, so it waits as long as there is time.
      using client = await QmpClient.connect(record.socketPath, { greetingTimeoutMs: Math.max(leftMs, 100) })
      const outcome = await resumeThrough(client)
      if (outcome) return outcome
    } catch (error) {
      if (!isRunning(record.qemu)) return 'gone'
      if (!(error instanceof QemuError) || leftMs <= 0) throw error
    }
    if (performance.now() >= deadline) {
      throw new QemuError('TIMEOUT', `expected ${record.socketPath} to leave its transient state, found it still there`)
    }
    await delay(RETRY_MS)
  }
}

/** Undefined while QEMU is in a state that ends by itself: a dump of notes that its caller did not live to see. */
async function resumeThrough(client: QmpClient): Promise<ResumeOutcome | undefined> {
  const status = await guestStatus(client)
  if (status === 'save-vm') return undefined
  if (status !== 'paused') return 'notPaused'
  await client.execute('cont')
  return (await guestStatus(client)) === 'running' ? 'resumed' : undefined
}

/** The run state of the guest. Ref: QEMU qapi/run-state.json RunState. */
export async function guestStatus(client: QmpClient): Promise<string> {
  return toText(toObject(await client.execute('query-status'), 'query-status').status, 'the status of the guest')
}
