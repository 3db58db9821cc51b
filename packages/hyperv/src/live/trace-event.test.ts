import { expect, test } from 'vitest'
import { parseTraceEvent } from './trace-event.ts'

test.each([
  ['-> S_CAPS', 'state_change', { kind: 'state', state: 'S_CAPS' }],
  ['incoming proto version 2.0', 'incoming_version', { kind: 'version', major: 2, minor: 0 }],
  ['posting balloon 0 for 25600, remaining 25600', 'outgoing_balloon', { kind: 'balloonRequest', pages: 25_600 }],
  [
    'incoming balloon response 40, ranges 15, more 1',
    'incoming_balloon',
    { kind: 'balloonAnswer', ranges: 15, more: true },
  ],
  [
    'processing remove response range 7168 @ 0x3000, both 1',
    'remove_response',
    { kind: 'removed', range: { start: 0x3000, count: 7168 } },
  ],
  ['processing remove response range 0 @ 0xffff, both 0', 'remove_response', { kind: 'aside' }],
  [
    'posting unballoon 8 for 8 @ 0x1058, remaining 3',
    'outgoing_unballoon',
    { kind: 'unballoonRequest', range: { start: 0x1058, count: 8 }, more: true },
  ],
  ['incoming unballoon response 133', 'incoming_unballoon', { kind: 'unballoonAnswer' }],
  [
    'posting hot add 9 for 32768 @ 0x800000',
    'outgoing_hot_add',
    { kind: 'hotAddRequest', range: { start: 0x80_0000, count: 32_768 } },
  ],
  [
    'incoming hot add response 134, result 1, count 32768',
    'incoming_hot_add',
    { kind: 'hotAddAnswer', pages: 32_768, isSuccess: true },
  ],
  [
    'incoming hot add response 134, result 0, count 7',
    'incoming_hot_add',
    { kind: 'hotAddAnswer', pages: 0, isSuccess: false },
  ],
  ['incoming caps 0x1f', 'incoming_caps', { kind: 'aside' }],
  ['mapping memslot 0 / 1 @ 0x0', 'map_slot', { kind: 'aside' }],
])('reads %s', (text, name, event) => {
  expect(parseTraceEvent(`hv_balloon_${name} ${text}`)).toEqual(event)
  expect(parseTraceEvent(`142@1795250226.321259:hv_balloon_${name} ${text}`)).toEqual(event)
})

test.each([
  ['an event of another device', 'virtio_balloon_to_target balloon target: 0x1 num_pages: 2'],
  ['text before an event', 'guest says: hv_balloon_state_change -> S_CAPS'],
  ['text before an event with a time', 'x 142@1795250226.321259:hv_balloon_state_change -> S_CAPS'],
  ['an empty line', ''],
])('passes over %s', (_, line) => {
  expect(parseTraceEvent(line)).toBeUndefined()
})

test.each([
  ['hv_balloon_hot_remove taking 5 @ 0x1000', 'hot_remove'],
  ['hv_balloon_remove_response processing range 5 @ 0x1000', 'remove_response'],
  ['hv_balloon_outgoing_unballoon posting unballoon 1 for 0 @ 0x1000, remaining 0', 'outgoing_unballoon'],
  ['hv_balloon_remove_response processing remove response range 1 @ 0xfffffffffffffff, both 1', 'remove_response'],
  ['hv_balloon_constructor x', 'constructor'],
])('says of %s that it cannot be read', (line, name) => {
  expect(parseTraceEvent(line)).toEqual({ kind: 'unreadable', name })
})
