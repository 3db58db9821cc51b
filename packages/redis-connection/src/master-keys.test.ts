import { expect, test } from 'vitest'
import { keysBySlots, slotOf } from './master-keys.ts'

test('slots are those of the specification', () => {
  expect(slotOf('123456789')).toBe(0x31c3)
  expect(slotOf('foo')).toBe(12_182)
})

/** Slots of which each master has those from one of its numbers to the next master's. */
const slotsFrom = (masters: Record<string, number>) => {
  const begins = Object.entries(masters)
  return Array.from({ length: 16_384 }, (_, slot) => {
    const master = begins.findLast(([, begin]) => begin <= slot)?.[0]
    return master === undefined ? undefined : [master, 'replica:1']
  })
}

test('each master gets one key, of a slot of its own', () => {
  const slots = slotsFrom({ 'a:1': 0, 'b:1': 5461, 'c:1': 10_923, 'small:1': 16_300 })
  const keys = keysBySlots(slots, 'probe')
  const masters = keys.map((key) => slots[slotOf(/^probe:\{(\d+)\}$/.exec(key)?.[1] ?? '')]?.[0])
  expect(masters.sort()).toEqual(['a:1', 'b:1', 'c:1', 'small:1'])
})

test('slots that nobody serves have none, and without any it is the name alone', () => {
  expect(keysBySlots(slotsFrom({ 'c:1': 9000 }), 'probe')).toHaveLength(1)
  expect(keysBySlots([], 'probe')).toEqual(['probe'])
})
