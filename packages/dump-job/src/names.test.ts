import { expect, test } from 'vitest'
import {
  dumpQueueName,
  guestHostsKey,
  hostAliveKey,
  hostDrainKey,
  hostKey,
  hostTurnsKey,
  pagesQueueName,
  queuePrefix,
  tenantGuestHostsKey,
} from './names.ts'

/** What Redis Cluster hashes of a key: what stands between the first brace and the next closing one. */
const tag = (key: string) => /\{([^}]+)\}/.exec(key)?.[1]

test('all that is kept of one host has one slot in a Redis Cluster', () => {
  const keys = [hostKey, hostAliveKey, hostDrainKey, hostTurnsKey, dumpQueueName, pagesQueueName]
  expect(keys.map((keyOf) => tag(`${queuePrefix}:${keyOf('h-1.example')}`))).toEqual(keys.map(() => 'h-1.example'))
})

test('no key is made of what is no id', () => {
  for (const keyOf of [hostKey, hostDrainKey, dumpQueueName, guestHostsKey])
    expect(() => keyOf('a}{b')).toThrow('expected a')
  for (const [tenant, guest] of [
    ['a:b', 'c'],
    ['a', 'b:c'],
  ] as const)
    expect(() => tenantGuestHostsKey(tenant, guest)).toThrow('expected')
})
