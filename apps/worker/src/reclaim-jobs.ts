import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { queuePrefix } from '@ullage/dump-job'
import { z } from 'zod'
import type { RedisClient } from '@ullage/redis-connection'
import { errnoOf } from './errno-of.ts'

const FILE = 'queue-workers.json'
const workerIds = z.array(z.uuid())

/**
 * The ids that this host's last worker had in its queues; none when there was none. Who holds the host's lock knows that the
 * process behind them is dead.
 */
export async function readWorkerIds(stateDir: string): Promise<string[]> {
  try {
    return workerIds.parse(JSON.parse(await readFile(join(stateDir, FILE), 'utf8')))
  } catch (error) {
    // One that was cut off with the machine: its jobs' locks expire by themselves.
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError || error instanceof z.ZodError) return []
    throw error
  }
}

/** Writes down the ids of this worker, before it takes its first job. */
export async function writeWorkerIds(stateDir: string, ids: readonly string[]): Promise<void> {
  const path = join(stateDir, FILE)
  await writeFile(`${path}.new`, JSON.stringify(ids), { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/**
 * Of the active jobs, those whose lock a dead worker has, or nobody: they lose it and count as suspected of stalling. It begins
 * with a write that changes nothing: a Redis that takes none then says so before a lock is lost, and also where no job is active.
 */
const SCRIPT = `
redis.call('SADD', KEYS[2], '')
redis.call('SREM', KEYS[2], '')
local taken = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. id .. ':lock'
  local lock = redis.call('GET', key)
  local dead = not lock
  for i = 2, #ARGV do
    if lock and string.sub(lock, 1, #ARGV[i] + 1) == ARGV[i] .. ':' then
      redis.call('DEL', key)
      dead = true
    end
  end
  if dead then
    redis.call('SADD', KEYS[2], id)
    taken[#taken + 1] = id
  end
end
if #taken > 0 then redis.call('DEL', KEYS[3]) end
return taken`

/**
 * Makes the queue's next look for stalled jobs, which a worker begins with, find the jobs of these dead workers at once
 * instead of when their locks have expired; it then counts and moves them as ever. A lock is known by the id that it begins
 * with, so no living worker loses one, of whichever host it believes to be. Returns the ids of the jobs. Throws what Redis says
 * when it takes no writes for this queue, whether or not there are such jobs.
 */
export async function reclaimJobs(
  redis: RedisClient,
  queue: string,
  deadWorkers: readonly string[],
): Promise<readonly string[]> {
  const prefix = `${queuePrefix}:${queue}:`
  const keys = [`${prefix}active`, `${prefix}stalled`, `${prefix}stalled-check`]
  return z.array(z.string()).parse(await redis.eval(SCRIPT, keys.length, ...keys, prefix, ...deadWorkers))
}
