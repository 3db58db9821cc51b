import { Cluster } from 'ioredis'
import type { RedisClient } from './redis-client.ts'

const SLOTS = 16_384
/** Tags that are tried: so many that each master with more than some twenty slots is all but sure to have one of them. */
const MOST_TAGS = 10_000

/**
 * A key for each master of a Cluster, as the client knows them now, that belongs to a slot of that master; the key of `name` alone
 * where Redis is one server, or its Cluster has not told yet.
 */
export function masterKeys(redis: RedisClient, name: string): string[] {
  return redis instanceof Cluster ? keysBySlots(redis.slots, name) : [name]
}

/** `slots` has for each slot the nodes that serve it, the master first. */
export function keysBySlots(slots: readonly (readonly string[] | undefined)[], name: string): string[] {
  const wanted = new Set(slots.flatMap((nodes) => nodes?.[0] ?? []))
  const keys: string[] = []
  for (let tag = 0; wanted.size > 0 && tag < MOST_TAGS; tag++) {
    const master = slots[slotOf(String(tag))]?.[0]
    if (master !== undefined && wanted.delete(master)) keys.push(`${name}:{${tag}}`)
  }
  return keys.length > 0 ? keys : [name]
}

/** The slot of keys with this tag: CRC16 as XMODEM has it, by the specification of Redis Cluster. */
export function slotOf(tag: string): number {
  let crc = 0
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc % SLOTS
}
