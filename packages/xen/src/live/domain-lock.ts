import { closeSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { lockPath } from '@ullage/native'
import { OfflineError } from '@ullage/offline-query'

/** Keeps every other dump of one domain away from it, until disposed or until its holder and the guardian died. */
export interface DomainLock extends Disposable {
  /** The open, locked file: a child that inherits it keeps the lock. */
  readonly fd: number
}

/** Locks the file at `path`. Throws OfflineError: BUSY with the holder's process id, INVALID for the folder. */
export function lockDomain(path: string, domid: number): DomainLock {
  let fd: number | undefined
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    fd = lockPath(path)
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause
    throw new OfflineError(
      'INVALID',
      `expected a state folder to write to at ${dirname(path)}, found: ${cause.message}; name another one, or run as its owner`,
      { cause },
    )
  }
  if (fd === undefined) {
    const holder = readFileSync(path, 'latin1').trim()
    const who = /^\d+$/.test(holder) ? ` (pid ${holder})` : ''
    throw new OfflineError('BUSY', `domain ${domid} is being dumped already${who}: wait for its end`)
  }
  const held = fd
  let open = true
  return {
    fd: held,
    [Symbol.dispose]() {
      if (open) closeSync(held)
      open = false
    },
  }
}
