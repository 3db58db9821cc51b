import { setTimeout as delay } from 'node:timers/promises'
import { isRunning, type ProcessIdentity } from '@ullage/native'
import { Guardian, type GuardianOptions } from './guardian.ts'
import type { GuestPause } from './guest-pause.ts'
import { type PauseRecord, removePauseRecord, writePauseRecord } from './pause-record.ts'
import { QemuError } from './qemu-error.ts'
import type { QmpClient } from './qmp-client.ts'
import { guestStatus } from './resume-paused.ts'
import { RunStateWatch } from './run-state-watch.ts'

/**
 * `idle`: nothing done yet. `held`: the guest is stopped by us. `released`: it needs nobody any more. `handedOver`: the
 * guardian resumes it.
 */
type LeaseState = 'idle' | 'held' | 'released' | 'handedOver'

export interface PausedLeaseOptions extends GuardianOptions {
  readonly record: PauseRecord
  /** One that has been started already; another is started when it is left out. */
  readonly guardian?: Guardian | undefined
}

/** A guest that this process has stopped, and its guardian. */
export class PausedLease implements GuestPause {
  readonly mode = 'paused'
  readonly #client: QmpClient
  readonly #watch: RunStateWatch
  readonly #options: PausedLeaseOptions
  #state: LeaseState = 'idle'
  #guardian: Guardian | undefined
  #stopSentAt = 0
  #resumesBefore = 0
  #resumed: Promise<number> | undefined

  constructor(client: QmpClient, options: PausedLeaseOptions) {
    this.#client = client
    this.#options = options
    // Whoever stops it after that has reasons of his own: the guardian must not resume it then.
    this.#watch = new RunStateWatch(client, () => void this.#guardian?.tell('running'))
  }

  get guardianPid(): number | undefined {
    return this.#guardian?.pid
  }

  /** Arms the guardian, and another one when it is killed while it is needed. Throws GUARDIAN_FAILED. */
  arm(): Promise<void> {
    return this.#arm(this.#options.guardian)
  }

  /** True when our `stop` has stopped the guest, false when it stood still already. */
  async stop(): Promise<boolean> {
    const before = this.#watch.stops
    // Not earlier: a record without a guardian would make the next worker resume whom nobody of us has stopped.
    writePauseRecord(this.#options.recordPath, this.#options.record)
    await this.#guardian?.tell('stopping')
    this.#state = 'held'
    this.#stopSentAt = performance.now()
    await this.#client.execute('stop')
    this.#resumesBefore = this.#watch.resumes
    // QEMU tells a change of state before it answers the command that caused it.
    return this.#watch.stops > before
  }

  resume(): Promise<number> {
    this.#resumed ??= this.#resume()
    return this.#resumed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.resume()
    } catch (error) {
      // Whoever needed the guest to stand still was told by `resume` or by its own next command.
      const known = error instanceof QemuError && (error.code === 'RESUMED_BY_OTHERS' || error.code === 'GONE')
      if (!known) throw error
    }
  }

  /** The guest needs nobody any more: removes the record and ends the guardian. */
  async release(): Promise<void> {
    this.#watch[Symbol.dispose]()
    this.#state = 'released'
    this.#resumed ??= Promise.resolve(0)
    removePauseRecord(this.#options.recordPath)
    const guardian = this.#guardian
    this.#guardian = undefined
    await guardian?.disarm()
  }

  async #arm(started?: Guardian): Promise<void> {
    const guardian = started ?? Guardian.start(this.#options)
    await guardian.arm(this.#options.record)
    // The guest has been resumed while this one was starting: it must not find another dump's pause later.
    if (this.#state === 'released') return guardian.disarm()
    if (this.#state !== 'idle') await guardian.tell('stopping')
    if (this.#state === 'handedOver') return guardian.handOver()
    this.#guardian = guardian
    void guardian.ended.then(async () => {
      if (this.#guardian !== guardian) return
      this.#guardian = undefined
      // The record on disk covers the time until the new one is armed, and everything when it cannot be.
      await this.#arm().catch(() => undefined)
    })
  }

  async #resume(): Promise<number> {
    if (this.#state !== 'held') {
      await this.release()
      return 0
    }
    let runsSince: number
    try {
      // What has happened before this answer has been told before it.
      await guestStatus(this.#client)
      if (this.#watch.resumes > this.#resumesBefore) {
        const what = `expected the guest at ${this.#client.socketPath} to stand still while it was paused`
        throw new QemuError('RESUMED_BY_OTHERS', `${what}, found that somebody else let it run; dump it again`)
      }
      await this.#client.execute('cont')
      runsSince = performance.now()
      const status = await guestStatus(this.#client)
      if (status !== 'running') {
        throw new QemuError('COMMAND_FAILED', `expected the guest to run after cont, found it ${status}`)
      }
    } catch (error) {
      const nothingToDo = error instanceof QemuError && error.code === 'RESUMED_BY_OTHERS'
      if (nothingToDo || (await hasEnded(this.#options.record.qemu))) await this.release()
      else await this.#handOver()
      throw error
    }
    const pausedMs = runsSince - this.#stopSentAt
    await this.release()
    return pausedMs
  }

  /** This process cannot resume the guest, so the guardian does, once the connection to the monitor is closed. */
  async #handOver(): Promise<void> {
    this.#watch[Symbol.dispose]()
    this.#state = 'handedOver'
    this.#client.close()
    const guardian = this.#guardian
    this.#guardian = undefined
    guardian?.handOver()
    await guardian?.ended
  }
}

/** True when the process ends within a moment: its sockets close before it is seen to have ended. */
async function hasEnded(identity: ProcessIdentity): Promise<boolean> {
  const deadline = performance.now() + 1000
  while (isRunning(identity)) {
    if (performance.now() > deadline) return false
    await delay(20)
  }
  return true
}
