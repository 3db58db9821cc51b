import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { heartbeat, hostAliveKey } from '@ullage/dump-job'
import type { RedisClient } from '@ullage/redis-connection'
import { errnoOf } from './errno-of.ts'
import { WorkerConfigError } from './worker-config.ts'

const FILE = 'instance'
const LOOK_EVERY_MS = 500
/** Longer than a heartbeat of a worker that died is seen. */
const WAIT_MS = heartbeat.goneAfterMs + 5_000

export interface RefuseSecondWorkerOptions {
  readonly redis: Pick<RedisClient, 'get'>
  readonly host: string
  /** Of which this process holds the lock: what its file says of an earlier instance is of a dead one. */
  readonly stateDir: string
  /** How this process calls itself in its heartbeats. */
  readonly instance: string
  readonly waitMs?: number
}

/**
 * Where no folder with locks is shared, another worker of this host is known by its heartbeats alone. Waits until there are none
 * but those of the worker that had this state folder before. Throws WorkerConfigError when another one goes on beating.
 */
export async function refuseSecondWorker(options: RefuseSecondWorkerOptions): Promise<void> {
  const { redis, host, stateDir, instance, waitMs = WAIT_MS } = options
  const path = join(stateDir, FILE)
  const earlier = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
  const deadline = performance.now() + waitMs
  for (;;) {
    const alive = await redis.get(hostAliveKey(host))
    if (alive === null || alive === earlier) break
    if (performance.now() > deadline) {
      throw new WorkerConfigError(
        `expected to be the only worker of host ${host}, another one beats, with another state folder: stop it, or give each its own ULLAGE_HOST_ID`,
      )
    }
    await delay(LOOK_EVERY_MS)
  }
  await writeFile(path, instance, { mode: 0o600 })
}
