import { expect, test } from 'vitest'
import { DmTrace } from './dm-trace.ts'
import { parseTraceEvent } from './trace-event.ts'

const RAM = [{ start: 0, count: 65_536 }]

const START = [
  'state_change -> S_POST_RESET_CLOSED',
  'state_change -> S_VERSION',
  'incoming_version incoming proto version 2.0',
  'state_change -> S_CAPS',
  'incoming_caps incoming caps 0x1f',
  'state_change -> S_POST_INIT_WAIT',
  'state_change -> S_IDLE',
]

function traceOf(...lines: string[]): DmTrace {
  const trace = new DmTrace(RAM)
  for (const line of lines) {
    const event = parseTraceEvent(`hv_balloon_${line}`)
    if (event) trace.take(event)
  }
  return trace
}

const removed = (count: number, start: number): string =>
  `remove_response processing remove response range ${count} @ 0x${start.toString(16)}, both 1`

test('a request that is answered in parts, the last of them empty', () => {
  const trace = traceOf(
    ...START,
    'outgoing_balloon posting balloon 0 for 100, remaining 100',
    'incoming_balloon incoming balloon response 8, ranges 2, more 1',
    removed(20, 0x1000),
    'remove_response_remainder remove response remaining range 20 @ 0x1000, both 1',
    removed(30, 0x2000),
  )
  // While the guest is at it, what has been told counts already.
  expect(trace.ranges().ballooned).toEqual([
    { start: 0x1000, count: 20 },
    { start: 0x2000, count: 30 },
  ])
  expect(trace.state.unansweredFrames).toBe(50)
  for (const line of ['incoming_balloon incoming balloon response 9, ranges 0, more 0', 'state_change -> S_IDLE']) {
    trace.take(parseTraceEvent(`hv_balloon_${line}`) ?? { kind: 'aside' })
  }
  expect(trace.state.unansweredFrames).toBe(0)
  expect(trace.state.faults).toEqual([])
  expect(trace.ranges()).toMatchObject({ knowsBallooned: true, knowsHotAdded: true })
})

test('an answer that was too short for its ranges, which QEMU refuses, leaves the request open', () => {
  const trace = traceOf(
    ...START,
    'outgoing_balloon posting balloon 0 for 100, remaining 100',
    'incoming_balloon incoming balloon response 8, ranges 2, more 0',
    'incoming_balloon incoming balloon response 9, ranges 1, more 0',
    removed(100, 0x1000),
    'state_change -> S_IDLE',
  )
  expect(trace.state.faults).toEqual([])
  expect(trace.state.unansweredFrames).toBe(0)
  expect(trace.state.balloonedFrames).toBe(100)
})

test('a hot-add that the guest refuses adds nothing', () => {
  const trace = traceOf(
    ...START,
    'outgoing_hot_add posting hot add 9 for 512 @ 0x8000',
    'incoming_hot_add incoming hot add response 134, result 0, count 512',
  )
  expect(trace.ranges()).toMatchObject({ hotAdded: [], perhapsAdded: [], knowsHotAdded: true })
})

test('a trace that began after the guest knows what it saw, and that it saw not all', () => {
  const trace = traceOf(
    'outgoing_balloon posting balloon 4 for 5, remaining 5',
    'incoming_balloon incoming balloon response 8, ranges 1, more 0',
    removed(5, 0x1000),
    'state_change -> S_IDLE',
  )
  expect(trace.ranges()).toMatchObject({ ballooned: [{ start: 0x1000, count: 5 }], knowsBallooned: false })
})

test('after a reboot of the guest nothing is claimed of what was out', () => {
  const out = [
    'outgoing_balloon posting balloon 0 for 5, remaining 5',
    'incoming_balloon incoming balloon response 8, ranges 1, more 0',
    removed(5, 0x1000),
    'state_change -> S_IDLE',
  ]
  const trace = traceOf(...START, ...out, 'state_change -> S_WAIT_RESET', ...START)
  expect(trace.ranges()).toMatchObject({ ballooned: [], knowsBallooned: false, knowsHotAdded: false })
  expect(trace.state.faults.map(({ code }) => code)).toEqual(['RESTARTED'])
})

test('events that cannot be read, and a file that was cut, end all claims', () => {
  const out = ['outgoing_balloon posting balloon 0 for 5, remaining 5', removed(5, 0x1000)]
  const strange = traceOf(...START, ...out, 'hot_remove took 5 @ 0x1000')
  expect(strange.ranges()).toMatchObject({ ballooned: [], knowsBallooned: false })
  expect([...strange.unreadable]).toEqual([['hot_remove', 1]])
  const cut = traceOf(...START, ...out)
  expect(cut.ranges().ballooned).toHaveLength(1)
  cut.cut()
  expect(cut.ranges()).toMatchObject({ ballooned: [], knowsBallooned: false })
})
