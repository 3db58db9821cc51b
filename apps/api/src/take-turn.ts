import { dumpQueueName, hostTurnsKey, type Priority, queuePrefix } from '@ullage/dump-job'
import { z } from 'zod'
import type { RedisClient } from '@ullage/redis-connection'

/** Turns of one class. BullMQ takes priorities from 1 to 2^21 (bullmq, addPrioritizedJob); all three classes fit in that. */
const TURNS = 699_050
const classes = { high: 0, normal: 1, low: 2 } as const satisfies Record<Priority, number>

/**
 * The next turn of a tenant: one after its last, but never before the first that waits; from the beginning when nothing of
 * the class waits. BullMQ's score is the priority times 2^32, and a count.
 */
const SCRIPT = `
local first, last = tonumber(ARGV[1]), tonumber(ARGV[2])
-- Lua itself would write such numbers with 14 digits.
local beyond = string.format('(%.0f', (last + 1) * 4294967296)
local head = redis.call('ZRANGEBYSCORE', KEYS[1], first * 4294967296, beyond, 'WITHSCORES', 'LIMIT', 0, 1)
local turn = first
if head[2] then
  turn = math.floor(tonumber(head[2]) / 4294967296)
  local own = tonumber(redis.call('HGET', KEYS[2], ARGV[3] .. ARGV[4]))
  if own and own >= turn then turn = math.min(own + 1, last) end
else
  for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
    if string.sub(field, 1, #ARGV[3]) == ARGV[3] then redis.call('HDEL', KEYS[2], field) end
  end
end
redis.call('HSET', KEYS[2], ARGV[3] .. ARGV[4], turn)
return turn`

/**
 * BullMQ's priority for one more dump of this tenant on this host, so that tenants take turns: with 100 dumps of one waiting,
 * the first one of another comes after one of these, not after all.
 */
export async function takeTurn(
  redis: RedisClient,
  { host, tenant, priority }: { host: string; tenant: string | null; priority: Priority },
): Promise<number> {
  const first = classes[priority] * TURNS + 1
  const keys = [`${queuePrefix}:${dumpQueueName(host)}:prioritized`, hostTurnsKey(host)]
  const turn = await redis.eval(SCRIPT, keys.length, ...keys, first, first + TURNS - 1, `${priority}:`, tenant ?? '')
  return z.int().parse(turn)
}
