import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { lockPath } from '@ullage/native'
import { QemuError } from './qemu-error.ts'

/** Keeps every other dump of one guest away from it, until disposed or until its holder and the holder's guardian died. */
export interface GuestLock extends Disposable {
  /** The open, locked file: a child that inherits it keeps the lock. */
  readonly fd: number
  /** Names the guest in the state folder: a hash of its socket's real path. */
  readonly guestKey: string
}

/**
 * Locks the guest behind `socketPath` for this process, with a file in `stateDir` (made when missing). Throws GUEST_BUSY
 * with the holder's process id, NOT_LISTENING when there is no such socket, ACCESS_DENIED for the folder.
 */
export function lockGuest(socketPath: string, options: { stateDir: string }): GuestLock {
  const guestKey = guestKeyOf(socketPath)
  const path = join(options.stateDir, `${guestKey}.lock`)
  const fd = inStateDir(options.stateDir, () => {
    mkdirSync(options.stateDir, { recursive: true, mode: 0o700 })
    return lockPath(path)
  })
  if (fd === undefined) throw busy(socketPath, readFileSync(path, 'latin1').trim())
  let held = true
  const dispose = (): void => {
    if (held) closeSync(fd)
    held = false
  }
  return { fd, guestKey, [Symbol.dispose]: dispose }
}

function inStateDir<T>(stateDir: string, body: () => T): T {
  try {
    return body()
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause
    const what = `expected a state folder to write to at ${stateDir}, found: ${cause.message}`
    throw new QemuError('ACCESS_DENIED', `${what}; name another one, or run as its owner`, { cause })
  }
}

/** Names one guest's files in a state folder. Throws NOT_LISTENING when there is nothing at `socketPath`. */
export function guestKeyOf(socketPath: string): string {
  try {
    return createHash('sha256').update(realpathSync(socketPath)).digest('hex').slice(0, 32)
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause
    throw new QemuError(
      'NOT_LISTENING',
      `expected a qmp socket at ${socketPath}, found ${cause.message}; start qemu with -qmp unix:PATH,server=on,wait=off`,
      { cause },
    )
  }
}

function busy(socketPath: string, holder: string): QemuError {
  const pid = /^\d+$/.test(holder) ? Number(holder) : undefined
  const who = pid === undefined ? '' : ` (pid ${pid})`
  const found =
    pid === undefined || isAlive(pid)
      ? `a dump of this guest is already running${who}; wait for its end`
      : `a dump of this guest${who} has died and its guardian is resuming the guest; try again in some seconds`
  return new QemuError('GUEST_BUSY', `${found}: ${socketPath}`)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    return true
  }
}
