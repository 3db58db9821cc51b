import { setTimeout as delay } from 'node:timers/promises'
import { writeRefusalOf } from '@ullage/redis-connection'
import { Worker } from 'bullmq'

/** How long after a refusal the next job is asked for, in milliseconds. */
const ASK_AGAIN_AFTER_MS = 1_000

/** Asks a Redis that takes no writes for the next job once a second; BullMQ's own worker asks it again at once. */
export class PatientWorker extends Worker {
  protected override async moveToActive(token: string, name?: string) {
    try {
      return await super.moveToActive(token, name)
    } catch (error) {
      if (!this.closing && writeRefusalOf(error) !== undefined) await delay(ASK_AGAIN_AFTER_MS)
      throw error
    }
  }
}
