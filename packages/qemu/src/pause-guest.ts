import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { throwIfAborted } from './abort-error.ts'
import { Guardian, type GuardianScope } from './guardian.ts'
import { guestKeyOf } from './lock-guest.ts'
import { type PauseRecord, pauseRecordPath, removePauseRecord, writePauseRecord } from './pause-record.ts'
import { QemuError } from './qemu-error.ts'
import { isRunning, ownIdentity, type ProcessIdentity, qemuProcess } from './qemu-process.ts'
import type { QmpClient } from './qmp-client.ts'
import { guestStatus } from './resume-paused.ts'

export interface PauseGuestOptions {
  /** Folder for the record of the paused guest; the same as for `lockGuest` and `resumeAbandoned`. */
  readonly stateDir: string
  /** Descriptor of the guest's lock, which the guardian inherits. */
  readonly lockFd?: number | undefined
  readonly scope?: GuardianScope | undefined
  readonly launcher?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** Holds a guest's vCPUs stopped. Disposing it resumes the guest; a QEMU that has ended meanwhile is no error then. */
export interface GuestPause extends AsyncDisposable {
  /** `paused`: by this lease. `stopped`: it was not running before, and stays so. */
  readonly mode: 'paused' | 'stopped'
  /** Process id of the guardian; undefined when the guest was stopped already. */
  readonly guardianPid: number | undefined
  /**
   * Lets the guest run when this lease has stopped it, and returns for how many milliseconds it stood still for us: from
   * before `stop` was sent until QEMU said that it runs. Idempotent. Throws RESUMED_BY_OTHERS when somebody else let the
   * guest run meanwhile, GONE when QEMU has died.
   */
  resume(): Promise<number>
}

/**
 * Stops the guest's vCPUs. A guardian is armed before: a process and session of its own that lets the guest run again when
 * this process, or its whole process group, dies in any way. A guest that is not running stays as it is. Throws QemuError.
 */
export async function pauseGuest(client: QmpClient, options: PauseGuestOptions): Promise<GuestPause> {
  throwIfAborted(options.signal)
  const watch = watchRunState(client)
  try {
    if ((await guestStatus(client)) !== 'running') return stoppedLease(client, watch)
    return await stopGuarded(client, watch, options)
  } catch (error) {
    watch.end()
    throw error
  }
}

async function stopGuarded(client: QmpClient, watch: RunStateWatch, options: PauseGuestOptions): Promise<GuestPause> {
  const socketPath = resolve(client.socketPath)
  const recordPath = resolve(pauseRecordPath(options.stateDir, guestKeyOf(socketPath)))
  const record: PauseRecord = { socketPath, qemu: await qemuProcess(client), holder: ownIdentity() }
  writePauseRecord(recordPath, record)
  const lease = new PausedLease(client, watch, record, { ...options, recordPath })
  try {
    await lease.arm()
    // The last moment at which nothing has been done yet: from here on the guest is stopped and then resumed.
    throwIfAborted(options.signal)
    if (await lease.stop()) return lease
    // Somebody else stopped it between our question and our `stop`.
    await lease.release()
    return stoppedLease(client, watch)
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

interface RunStateWatch {
  stops: number
  resumes: number
  end(): void
}

function watchRunState(client: QmpClient): RunStateWatch {
  const end = client.onEvent(({ name }) => {
    if (name === 'STOP') watch.stops++
    if (name === 'RESUME') watch.resumes++
  })
  const watch = { stops: 0, resumes: 0, end }
  return watch
}

type PausedLeaseOptions = PauseGuestOptions & { readonly recordPath: string }

class PausedLease implements GuestPause {
  readonly mode = 'paused'
  readonly #client: QmpClient
  readonly #watch: RunStateWatch
  readonly #record: PauseRecord
  readonly #options: PausedLeaseOptions
  #guardian: Guardian | undefined
  #stopSentAt: number | undefined
  #resumesBefore = 0
  #resumed: Promise<number> | undefined

  constructor(client: QmpClient, watch: RunStateWatch, record: PauseRecord, options: PausedLeaseOptions) {
    this.#client = client
    this.#watch = watch
    this.#record = record
    this.#options = options
  }

  get guardianPid(): number | undefined {
    return this.#guardian?.pid
  }

  /** Starts the guardian, and another one when it is killed while it is needed. */
  async arm(): Promise<void> {
    const guardian = await Guardian.arm(this.#options)
    this.#guardian = guardian
    if (this.#stopSentAt !== undefined) await guardian.tellStopping()
    void guardian.ended.then(async () => {
      if (this.#guardian !== guardian || this.#resumed) return
      // The record on disk covers the time until the new one is armed, and everything when it cannot be.
      await this.arm().catch(() => undefined)
    })
  }

  /** True when our `stop` has stopped the guest, false when it stood still already. */
  async stop(): Promise<boolean> {
    const before = this.#watch.stops
    await this.#guardian?.tellStopping()
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

  async #resume(): Promise<number> {
    if (this.#stopSentAt === undefined) {
      await this.release()
      return 0
    }
    const disturbed = this.#watch.resumes > this.#resumesBefore
    try {
      await this.#client.execute('cont')
      const status = await guestStatus(this.#client)
      if (status !== 'running') {
        throw new QemuError('COMMAND_FAILED', `expected the guest to run after cont, found it ${status}`)
      }
    } catch (error) {
      if (await hasEnded(this.#record.qemu)) await this.release()
      else await this.#handOver()
      throw error
    }
    const pausedMs = performance.now() - this.#stopSentAt
    await this.release()
    if (disturbed) {
      const what = `expected the guest at ${this.#client.socketPath} to stand still while it was paused`
      throw new QemuError('RESUMED_BY_OTHERS', `${what}, found that somebody else let it run; dump it again`)
    }
    return pausedMs
  }

  /** This process cannot resume the guest, so the guardian does, once the connection to the monitor is closed. */
  async #handOver(): Promise<void> {
    this.#watch.end()
    this.#client.close()
    const guardian = this.#guardian
    this.#guardian = undefined
    guardian?.handOver()
    await guardian?.ended
  }

  /** The guest needs nobody any more: removes the record and ends the guardian. */
  async release(): Promise<void> {
    this.#watch.end()
    this.#resumed ??= Promise.resolve(0)
    removePauseRecord(this.#options.recordPath)
    const guardian = this.#guardian
    this.#guardian = undefined
    await guardian?.disarm()
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

function stoppedLease(client: QmpClient, watch: RunStateWatch): GuestPause {
  const resume = async (): Promise<number> => {
    watch.end()
    if (watch.resumes > 0) {
      const what = `expected the stopped guest at ${client.socketPath} to stay stopped`
      throw new QemuError('RESUMED_BY_OTHERS', `${what}, found that somebody else let it run; dump it again`)
    }
    if (client.ended) throw client.ended
    return 0
  }
  const dispose = async (): Promise<void> => watch.end()
  return { mode: 'stopped', guardianPid: undefined, resume, [Symbol.asyncDispose]: dispose }
}
