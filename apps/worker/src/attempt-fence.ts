import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { unlessAborted } from '@ullage/dump-job'
import { lockFile } from '@ullage/native'
import { z } from 'zod'
import { errnoOf } from './errno-of.ts'
import { AttemptError } from './job-failure.ts'

const LOOK_EVERY_MS = 20
/** How long another attempt may hold the file: it publishes, and makes what it publishes durable. */
const HELD_WITHIN_MS = 300_000

const standing = z.object({ queuedMs: z.number(), attempt: z.int(), token: z.uuid() })

/** Which attempt at a dump it is. */
export interface AttemptOrder {
  /** When the job was put into the queue, in milliseconds since 1970: a queue that was emptied may have it anew. */
  readonly queuedMs: number
  /** How often the dump was begun since then. */
  readonly attempt: number
}

/** The right to publish one dump, which the attempt that began last has. */
export interface Fence {
  /**
   * Calls `publish` while no other attempt can begin or publish, and takes the fence away when that is done. Throws
   * AttemptError LOCK_LOST when a later attempt has begun, or another one has published. Until `publish` is called, an abort
   * is heard; its reason is thrown.
   */
  pass<T>(publish: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

/**
 * Raises the fence of one attempt at a dump, in the folder of locks: whatever Redis believes, attempts before it publish
 * nothing from now on. Throws AttemptError LOCK_LOST when a later one of the same job has begun. An abort is heard also while
 * the folder's file system hangs; its reason is thrown.
 */
export async function raiseFence(
  folder: string,
  dump: string,
  order: AttemptOrder,
  signal?: AbortSignal,
): Promise<Fence> {
  const path = join(folder, `${dump}.fence`)
  const { queuedMs, attempt } = order
  const mine = { queuedMs, attempt, token: randomUUID() }
  const raise = async (file: FileHandle) => {
    const before = await read(file)
    // It may have waited for the file for long: nobody waits for it any more.
    signal?.throwIfAborted()
    if (before && before.queuedMs === queuedMs && before.attempt > attempt)
      throw lost(`attempt ${before.attempt} has begun, this one is ${attempt}`)
    await file.truncate(0)
    await file.write(JSON.stringify(mine), 0)
    await file.sync()
  }
  await unlessAborted(
    makeMissing(folder).then(() => locked(path, raise, signal)),
    signal,
  )
  return {
    pass: (publish, told) =>
      locked(
        path,
        async (file) => {
          const now = await unlessAborted(read(file), told)
          if (now?.token !== mine.token)
            throw lost(now ? `attempt ${now.attempt} has begun` : 'another attempt has ended it')
          const published = await publish()
          // It is published: a fence that stays is no reason to say otherwise.
          await rm(path, { force: true }).catch(() => undefined)
          return published
        },
        told,
      ),
  }
}

/** The folder is made at the start; it is made again when somebody has removed it, those above it not. */
async function makeMissing(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o750 }).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error
  })
}

/** Removes fences of dumps that ended without a publication, once nobody has touched them for so long, in milliseconds. */
export async function pruneFences(folder: string, olderThanMs: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.fence')) continue
    const path = join(folder, name)
    const found = await stat(path).catch(ignoreMissing)
    if (found && found.mtimeMs < Date.now() - olderThanMs) await rm(path, { force: true })
  }
}

/** Another host's worker has published meanwhile. */
function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error
}

async function locked<T>(path: string, act: (file: FileHandle) => Promise<T>, signal?: AbortSignal): Promise<T> {
  const file = await unlessAborted(open(path, 'a+', 0o640), signal, closeSoon)
  try {
    const deadline = performance.now() + HELD_WITHIN_MS
    while (!lockFile(file.fd)) {
      if (performance.now() > deadline) throw lost('another attempt holds it')
      await unlessAborted(delay(LOOK_EVERY_MS), signal)
    }
    return await act(file)
  } finally {
    // What a call that hangs holds is closed when that is answered.
    if (signal?.aborted) closeSoon(file)
    else await file.close()
  }
}

/** The lock goes with it. */
function closeSoon(file: FileHandle): void {
  file.close().catch(() => undefined)
}

/** Undefined when nobody has written it, or not to the end. */
async function read(file: FileHandle): Promise<z.infer<typeof standing> | undefined> {
  const bytes = Buffer.alloc((await file.stat()).size)
  await file.read(bytes, 0, bytes.length, 0)
  try {
    return standing.safeParse(JSON.parse(bytes.toString())).data
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function lost(why: string): AttemptError {
  return new AttemptError('LOCK_LOST', `this attempt may not publish what it makes: ${why}`)
}
