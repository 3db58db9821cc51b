import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '@ullage/dump-job'
import type { Logger } from 'pino'
import { pruneFences } from './attempt-fence.ts'
import { FENCES_KEPT_MS } from './prune-fences-daily.ts'
import type { FolderWaits, NamedFolder } from './folder-waits.ts'
import { takeHostLock } from './host-lock.ts'
import { type WorkerConfig, WorkerConfigError } from './worker-config.ts'

/** What became of a guest that was found paused. */
export interface AbandonedGuest {
  /** As its hypervisor knows it: a socket, a domain. */
  readonly guest: string
  readonly outcome: string
  readonly error?: unknown
}

export interface TakeHostOptions {
  readonly config: WorkerConfig
  readonly log: Logger
  /** Resumes the guests that an earlier run of this host's worker left paused. */
  readonly resumeAbandoned: (stateDir: string) => Promise<readonly AbandonedGuest[]>
}

/**
 * Makes this process the only worker with its state folder until disposed, and resumes guests. They come first: one that was left
 * paused waits for no folder that is not mounted. Throws WorkerConfigError.
 */
export async function takeState(
  { config, log, resumeAbandoned }: TakeHostOptions,
  waits: FolderWaits,
): Promise<AsyncDisposable> {
  const { stateDir } = config
  await makeFolderOf({ setting: 'ULLAGE_STATE_DIR', folder: stateDir }, 'write', waits)
  await using stack = new AsyncDisposableStack()
  const lock = await takeHostLock(join(stateDir, 'worker.lock'))
  if (!lock) {
    throw new WorkerConfigError(
      `expected to be the only worker with the state folder ${stateDir}, another one runs: stop it, or give each its own`,
    )
  }
  stack.use(lock)
  for (const { guest, outcome, error } of await resumeAbandoned(stateDir)) {
    const what = 'an earlier run left this guest paused'
    if (error === undefined) log.warn({ guest, outcome }, what)
    else log.error({ guest, outcome, err: error }, what)
  }
  return stack.move()
}

/** Makes this process the only worker of its host until disposed, with the folders that it needs. Throws WorkerConfigError. */
export async function takeHost({ config }: TakeHostOptions, waits: FolderWaits): Promise<AsyncDisposable> {
  const { host, stateDir, locksDir, guestsDir } = config
  const { place } = config.store
  await using stack = new AsyncDisposableStack()
  const state = { setting: 'ULLAGE_STATE_DIR', folder: stateDir }
  const ofLocks = place.kind === 'folder' ? { setting: 'ULLAGE_ARTIFACTS_DIR', folder: place.folder } : state
  if (place.kind === 'folder') await makeFolderOf(ofLocks, 'write', waits)
  await makeFolderOf({ setting: 'ULLAGE_GUESTS_DIR', folder: guestsDir }, 'read', waits)
  const hostLock = await waits.for(ofLocks, () => takeHostLock(join(locksDir, `${host}.worker`)))
  if (!hostLock) {
    throw new WorkerConfigError(
      `expected to be the only worker of host ${host} with the locks in ${locksDir}, another one runs, ` +
        'with another state folder: stop it, or give each its own ULLAGE_HOST_ID',
    )
  }
  stack.use(hostLock)
  await waits.for(ofLocks, () => pruneFences(locksDir, FENCES_KEPT_MS))
  return stack.move()
}

/** Throws WorkerConfigError unless there is such a folder, or can be, that can be used for what it is for. */
async function makeFolderOf(named: NamedFolder, use: 'read' | 'write', waits: FolderWaits): Promise<void> {
  const { setting, folder } = named
  try {
    await waits.for(named, async () => {
      await makeFolder(folder)
      await access(folder, constants.R_OK | constants.X_OK | (use === 'write' ? constants.W_OK : 0))
    })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new WorkerConfigError(`${setting}: expected a folder that can be used: ${reason}`, { cause: error })
  }
}
