import { resolve } from 'node:path'
import { ownIdentity } from '@ullage/native'
import { Guardian, type GuardianScope } from './guardian.ts'
import type { GuestPause } from './guest-pause.ts'
import { guestKeyOf } from './lock-guest.ts'
import { pauseRecordPath } from './pause-record.ts'
import { PausedLease } from './paused-lease.ts'
import { QemuError } from './qemu-error.ts'
import { qemuProcess } from './qemu-process.ts'
import type { QmpClient } from './qmp-client.ts'
import { guestStatus } from './resume-paused.ts'
import { RunStateWatch } from './run-state-watch.ts'

export interface GuardGuestOptions {
  /** Folder for the record of the paused guest; the same as for `lockGuest` and `resumeAbandoned`. */
  readonly stateDir: string
  /** Descriptor of the guest's lock, which the guardian inherits. */
  readonly lockFd?: number | undefined
  /** `session` when left out. */
  readonly scope?: GuardianScope | undefined
  /** A command that starts the guardian, whose own command line follows: instead of what `scope` stands for. */
  readonly launcher?: readonly string[] | undefined
}

export interface PauseGuestOptions extends GuardGuestOptions {
  /** What `startGuardian` has returned; a guardian is started when it is left out. */
  readonly guardian?: Guardian | undefined
  readonly signal?: AbortSignal | undefined
  /** Done while the guardian starts; the guest is stopped when both are ready, and not where this rejects. */
  readonly beforeStop?: (() => Promise<void>) | undefined
}

/**
 * Starts what is going to guard the guest behind `socketPath` while it is paused, for `pauseGuest` to find it ready: it is a
 * process that takes longer to start than all the rest of a pause. To be disarmed when the guest is not paused after all.
 */
export function startGuardian(socketPath: string, options: GuardGuestOptions): Guardian {
  return Guardian.start({ ...options, recordPath: recordPathOf(socketPath, options) })
}

/**
 * Stops the guest's vCPUs. A guardian is armed before: a process and session of its own that lets the guest run again when
 * this process, or its whole process group, dies in any way. A guest that is not running stays as it is. Throws QemuError, or the
 * signal's reason.
 */
export async function pauseGuest(client: QmpClient, options: PauseGuestOptions): Promise<GuestPause> {
  options.signal?.throwIfAborted()
  if ((await guestStatus(client)) !== 'running') return stoppedLease(client)
  const socketPath = resolve(client.socketPath)
  const recordPath = recordPathOf(socketPath, options)
  const record = { socketPath, qemu: await qemuProcess(client), holder: ownIdentity() }
  const lease = new PausedLease(client, { ...options, record, recordPath })
  try {
    const prepared = await Promise.allSettled([lease.arm(), options.beforeStop?.()])
    for (const outcome of prepared) if (outcome.status === 'rejected') throw outcome.reason
    // The last moment at which nothing has been done yet: from here on the guest is stopped and then resumed.
    options.signal?.throwIfAborted()
    if (await lease.stop()) return lease
    // Somebody else stopped it between our question and our `stop`.
    await lease.release()
    return stoppedLease(client)
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

function recordPathOf(socketPath: string, { stateDir }: GuardGuestOptions): string {
  return resolve(pauseRecordPath(stateDir, guestKeyOf(socketPath)))
}

function stoppedLease(client: QmpClient): GuestPause {
  const watch = new RunStateWatch(client)
  let ended: Promise<number> | undefined
  const end = async (): Promise<number> => {
    // What has happened before this answer has been told before it.
    await guestStatus(client)
    watch[Symbol.dispose]()
    if (watch.resumes === 0) return 0
    const what = `expected the stopped guest at ${client.socketPath} to stay stopped`
    throw new QemuError('RESUMED_BY_OTHERS', `${what}, found that somebody else let it run; dump it again`)
  }
  return {
    mode: 'stopped',
    guardianPid: undefined,
    resume: () => {
      ended ??= end()
      return ended
    },
    [Symbol.asyncDispose]: async () => watch[Symbol.dispose](),
  }
}
