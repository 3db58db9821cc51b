import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DmState } from './dm-state.ts'
import * as made from '../test/made-dm-message.ts'
import { PlainDmModel } from '../test/plain-dm-model.ts'

type Sent = ['guest' | 'host', Uint8Array]

const RAM = [
  { start: 0, count: 96 },
  { start: 0x80_0000, count: 64 },
] as const

const kinds = ['cut', 'turned', 'byte'] as const

/** A channel whose start was seen, in version 2.0, after `messages`. */
function channel(...messages: Sent[]): DmState {
  const state = new DmState({ ram: RAM })
  const start: Sent[] = [
    ['guest', made.versionRequest(2, 0)],
    ['host', made.versionResponse()],
    ['guest', made.capabilitiesReport()],
    ['host', made.capabilitiesResponse()],
  ]
  for (const [from, bytes] of [...start, ...messages]) state.take(from, bytes)
  return state
}

const codes = (state: DmState) => state.faults.map(({ code, count }) => `${code} ${count}`)

describe('what is ballooned', () => {
  test('are the ranges of answers, neighbours joined, from the answer to the request that gives them back', () => {
    const asked: Sent[] = [
      ['host', made.balloonRequest(8)],
      [
        'guest',
        made.balloonResponse(
          [
            [4, 2],
            [6, 2],
          ],
          true,
        ),
      ],
      ['guest', made.balloonResponse([[20, 4]])],
    ]
    expect(channel(...asked).ranges().ballooned).toEqual([
      { start: 4, count: 4 },
      { start: 20, count: 4 },
    ])
    const state = channel(...asked, ['host', made.unballoonRequest([[5, 2]], true)])
    expect(state.ranges().ballooned).toEqual([
      { start: 4, count: 1 },
      { start: 7, count: 1 },
      { start: 20, count: 4 },
    ])
    expect(state.faults).toEqual([])
    expect(state.balloonedFrames).toBe(6)
    expect([state.isBallooned(4), state.isBallooned(5)]).toEqual([true, false])
  })

  test('stays what it was while a request is not answered: a guest that can hibernate never does', () => {
    const state = channel(['host', made.balloonRequest(512)], ['host', made.balloonRequest(512)])
    expect(state.balloonedFrames).toBe(0)
    expect(state.unansweredFrames).toBe(1024)
    expect(state.faults).toEqual([])
  })

  test('an answer without ranges ends the request', () => {
    const state = channel(['host', made.balloonRequest(512)], ['guest', made.balloonResponse([])])
    expect(state.unansweredFrames).toBe(0)
    expect(state.faults).toEqual([])
  })

  test('one answer ends an unballoon request, in however many parts it came', () => {
    const parts: Sent[] = [
      ['host', made.unballoonRequest([], true)],
      ['host', made.unballoonRequest([], true)],
      ['host', made.unballoonRequest([])],
      ['guest', made.unballoonResponse()],
    ]
    expect(channel(...parts).faults).toEqual([])
    expect(codes(channel(...parts, ['guest', made.unballoonResponse()]))).toEqual(['UNEXPECTED 1'])
  })

  test('frames are 40 bits wide', () => {
    const far = 2 ** 40 - 16
    const state = new DmState({ ram: [{ start: far, count: 16 }] })
    state.take('host', made.balloonRequest(16))
    state.take('guest', made.balloonResponse([[far, 16]]))
    expect(state.ranges().ballooned).toEqual([{ start: far, count: 16 }])
  })

  test.each<[string, Sent[], string[], number]>([
    ['an answer nobody asked for changes nothing', [['guest', made.balloonResponse([[0, 4]])]], ['UNEXPECTED 1'], 0],
    [
      'more than was asked for counts, as old kernels round up',
      [
        ['host', made.balloonRequest(2)],
        ['guest', made.balloonResponse([[0, 4]])],
      ],
      ['EXCESS 1'],
      4,
    ],
    [
      'frames outside RAM are left out',
      [
        ['host', made.balloonRequest(8)],
        ['guest', made.balloonResponse([[94, 4]])],
      ],
      ['OUTSIDE_RAM 1'],
      2,
    ],
    [
      'more frames than there are change nothing',
      [
        ['host', made.balloonRequest(8)],
        ['guest', made.balloonResponse([[0, 0xff_ffff]])],
      ],
      ['TOO_MANY 1'],
      0,
    ],
    [
      'frames that are out twice are out once',
      [
        ['host', made.balloonRequest(8)],
        [
          'guest',
          made.balloonResponse([
            [0, 4],
            [2, 4],
          ]),
        ],
      ],
      ['REPEATED 1'],
      6,
    ],
    ['frames that were not out cannot come back', [['host', made.unballoonRequest([[0, 4]])]], ['REPEATED 1'], 0],
    ['an unballoon answer without a request', [['guest', made.unballoonResponse()]], ['UNEXPECTED 1'], 0],
  ])('%s', (_, messages, expected, frames) => {
    const state = channel(...messages)
    expect(codes(state)).toEqual(expected)
    expect(state.balloonedFrames).toBe(frames)
  })
})

describe('what was hot-added', () => {
  const request: Sent = ['host', made.hotAddRequest([0x80_0000, 48], [0x80_0000, 64])]

  test('is as much of the range asked for as the answer counts', () => {
    const state = channel(request, ['guest', made.hotAddResponse(40)])
    expect(state.ranges()).toMatchObject({ hotAdded: [{ start: 0x80_0000, count: 40 }], knowsHotAdded: true })
    expect(state.faults).toEqual([])
  })

  test('may be in use before the answer comes', () => {
    const waiting = channel(request).ranges()
    expect(waiting).toMatchObject({ hotAdded: [], perhapsAdded: [{ start: 0x80_0000, count: 48 }] })
  })

  test.each([0, 1])('is nothing when the guest adds none (result %d)', (result) => {
    const state = channel(request, ['guest', made.hotAddResponse(0, result)])
    expect(state.ranges()).toMatchObject({ hotAdded: [], perhapsAdded: [], knowsHotAdded: true })
  })

  test('is ballooned out no more from the request on', () => {
    const out: Sent[] = [
      ['host', made.balloonRequest(8)],
      ['guest', made.balloonResponse([[0x80_0000 + 44, 8]])],
    ]
    const state = channel(...out, request)
    expect(state.ranges().ballooned).toEqual([{ start: 0x80_0000 + 48, count: 4 }])
    expect(codes(state)).toEqual(['REPEATED 1'])
  })

  test('is never more than was asked for', () => {
    const state = channel(request, ['guest', made.hotAddResponse(4_000_000_000)])
    expect(state.ranges().hotAdded).toEqual([{ start: 0x80_0000, count: 48 }])
    expect(codes(state)).toEqual(['EXCESS 1'])
  })

  test('is not known any more when an answer has no request, or the guest removes memory', () => {
    expect(channel(['guest', made.hotAddResponse(4)]).ranges().knowsHotAdded).toBe(false)
    expect(channel(['guest', made.hotRemoveResponse([[0, 4]])]).ranges().knowsHotAdded).toBe(false)
  })

  test('keeps no more than 64 requests without an answer', () => {
    const state = channel(...Array.from({ length: 80 }, () => request))
    expect(codes(state)).toEqual(['TOO_MANY 16'])
    expect(state.ranges().knowsHotAdded).toBe(false)
  })
})

describe('the agreement on a version', () => {
  test.each([
    [0, 3],
    [1, 0],
    [2, 0],
  ])('%d.%d is understood', (major, minor) => {
    const state = new DmState({ ram: RAM })
    state.take('guest', made.versionRequest(9, 9))
    state.take('host', made.versionResponse(false))
    state.take('guest', made.versionRequest(major, minor))
    expect(state.version).toBeUndefined()
    state.take('host', made.versionResponse())
    expect(state.version).toEqual({ major, minor })
    expect(state.faults).toEqual([])
    expect(state.sawStart).toBe(true)
  })

  test('on a version that is not known leaves nothing known', () => {
    const state = new DmState({ ram: RAM })
    const messages: Sent[] = [
      ['guest', made.versionRequest(3, 0)],
      ['host', made.versionResponse()],
      ['host', made.balloonRequest(8)],
      ['guest', made.balloonResponse([[0, 8]])],
    ]
    for (const [from, bytes] of messages) state.take(from, bytes)
    expect(state.ranges()).toMatchObject({ ballooned: [], knowsBallooned: false, knowsHotAdded: false })
    expect(codes(state)).toEqual(['VERSION 3'])
  })

  test('that begins anew, after a reboot, makes what was out unknown', () => {
    const state = channel(
      ['host', made.balloonRequest(8)],
      ['guest', made.balloonResponse([[0, 8]])],
      ['guest', made.versionRequest(2, 0)],
    )
    expect(state.ranges()).toMatchObject({ ballooned: [], knowsBallooned: false, knowsHotAdded: false })
    expect(codes(state)).toEqual(['RESTARTED 1'])
  })

  test('that was not seen leaves open what went before', () => {
    const state = new DmState({ ram: RAM })
    state.take('host', made.balloonRequest(8))
    state.take('guest', made.balloonResponse([[0, 8]]))
    expect(state.sawStart).toBe(false)
    expect(state.ranges()).toMatchObject({
      ballooned: [{ start: 0, count: 8 }],
      knowsBallooned: false,
      knowsHotAdded: false,
    })
  })
})

describe('a message that cannot be read', () => {
  const out: Sent[] = [
    ['host', made.balloonRequest(8)],
    ['guest', made.balloonResponse([[0, 8]])],
  ]
  const cut = (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1)
  const both = { balloonedFrames: 0, knowsBallooned: false, knowsHotAdded: false }

  test.each<[string, Sent, string, object]>([
    [
      'of the host, that may give frames back, makes them unknown',
      ['host', cut(made.unballoonRequest([[0, 1]]))],
      'SHORT',
      { balloonedFrames: 0, knowsBallooned: false, knowsHotAdded: true },
    ],
    [
      'of the guest, that may balloon frames, leaves open what is out',
      ['guest', cut(made.balloonResponse([[9, 1]]))],
      'SHORT',
      { balloonedFrames: 8, knowsBallooned: false, knowsHotAdded: true },
    ],
    [
      'that may tell of hot-added memory leaves that open',
      ['guest', cut(made.hotAddResponse(4))],
      'SHORT',
      { balloonedFrames: 8, knowsBallooned: true, knowsHotAdded: false },
    ],
    [
      'that is a report changes nothing',
      ['guest', cut(made.statusReport(1, 2))],
      'SHORT',
      { balloonedFrames: 8, knowsBallooned: true, knowsHotAdded: true },
    ],
    ['without a header may be anything', ['host', new Uint8Array(7)], 'SHORT', both],
    ['of an unknown type may be anything', ['host', made.dmBytes(15, [0, 0])], 'TYPE', both],
    ['that says error may mean anything', ['host', made.dmBytes(0, [])], 'TYPE', both],
    [
      'that counts more ranges than it holds',
      ['host', made.dmBytes(8, [0, 2], [[0, 8]])],
      'RANGES',
      { balloonedFrames: 0, knowsBallooned: false, knowsHotAdded: true },
    ],
    [
      'that the other side should have sent',
      ['guest', made.unballoonRequest([[0, 8]])],
      'DIRECTION',
      { balloonedFrames: 0, knowsBallooned: false, knowsHotAdded: true },
    ],
  ])('%s', (_, message, code, expected) => {
    const state = channel(...out, message)
    const { knowsBallooned, knowsHotAdded } = state.ranges()
    expect(codes(state)).toEqual([`${code} 1`])
    expect({ balloonedFrames: state.balloonedFrames, knowsBallooned, knowsHotAdded }).toEqual(expected)
  })

  test('is told where it is taken, and its kind counted', () => {
    const state = channel()
    expect(state.take('host', new Uint8Array(3))).toEqual([
      { code: 'SHORT', text: 'expected a message of at least 8 bytes, found 3' },
    ])
    for (let i = 0; i < 1000; i++) state.take('host', new Uint8Array(i % 8))
    expect(codes(state)).toEqual(['SHORT 1001'])
  })
})

test('what guest and host report is kept', () => {
  const state = channel(['guest', made.statusReport(1000, 500)], ['host', made.info(65_536)])
  expect(state.capabilities).toMatchObject({ balloon: true, hotAdd: true, hotRemove: false, hotAddAlignment: 32_768 })
  expect(state.pressure).toMatchObject({ available: 1000, committed: 500 })
  expect(state.maxPages).toBe(65_536)
})

describe('any sequence of messages, right and wrong', () => {
  const frame = fc.oneof(
    fc.nat(110),
    fc.nat(80).map((n) => 0x80_0000 + n),
    fc.constantFrom(2 ** 32, 2 ** 40 - 1),
  )
  const count = fc.oneof({ weight: 9, arbitrary: fc.nat(24) }, { weight: 1, arbitrary: fc.constant(0xff_ffff) })
  const pairs = fc.array(fc.tuple(frame, count), { maxLength: 5 })
  const guest = (bytes: Uint8Array): Sent => ['guest', bytes]
  const host = (bytes: Uint8Array): Sent => ['host', bytes]
  const message: fc.Arbitrary<Sent> = fc.oneof(
    { weight: 6, arbitrary: fc.nat(40).map((n) => host(made.balloonRequest(n))) },
    { weight: 8, arbitrary: fc.tuple(pairs, fc.boolean()).map(([r, more]) => guest(made.balloonResponse(r, more))) },
    { weight: 5, arbitrary: fc.tuple(pairs, fc.boolean()).map(([r, more]) => host(made.unballoonRequest(r, more))) },
    { weight: 1, arbitrary: fc.constant(guest(made.unballoonResponse())) },
    { weight: 3, arbitrary: fc.tuple(frame, count).map((range) => host(made.hotAddRequest(range))) },
    { weight: 3, arbitrary: fc.nat(40).map((n) => guest(made.hotAddResponse(n))) },
    { weight: 1, arbitrary: fc.tuple(fc.nat(3), fc.nat(4)).map(([a, b]) => guest(made.versionRequest(a, b))) },
    { weight: 1, arbitrary: fc.boolean().map((isAccepted) => host(made.versionResponse(isAccepted))) },
    { weight: 1, arbitrary: pairs.map((r) => guest(made.hotRemoveResponse(r))) },
    { weight: 1, arbitrary: fc.constant(guest(made.statusReport(1, 2))) },
  )
  const damaged: fc.Arbitrary<Sent> = fc
    .tuple(message, fc.nat(7), fc.nat(255), fc.constantFrom<(typeof kinds)[number]>(...kinds))
    .map(([[from, bytes], at, byte, kind]): Sent => {
      if (kind === 'cut') return [from, bytes.subarray(0, at + (byte % bytes.length))]
      if (kind === 'turned') return [from === 'guest' ? 'host' : 'guest', bytes]
      const copy = Uint8Array.from(bytes)
      copy[(at * 31 + byte) % copy.length] = byte
      return [from, copy]
    })
  const any = fc.oneof({ weight: 12, arbitrary: message }, { weight: 1, arbitrary: damaged })

  test('leaves what a plain set of frames would', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(any, { maxLength: 60, size: 'max' }), (fromStart, messages) => {
        const state = new DmState({ ram: RAM })
        const model = new PlainDmModel(RAM.map(({ start, count }) => [start, count]))
        const start: Sent[] = fromStart ? [guest(made.versionRequest(2, 0)), host(made.versionResponse())] : []
        for (const [from, bytes] of [...start, ...messages]) {
          state.take(from, bytes)
          model.take(from, bytes)
          expectEqual(state, model)
        }
      }),
      { numRuns: 500 },
    )
  })
})

function expectEqual(state: DmState, model: PlainDmModel): void {
  const found = state.ranges()
  const frames = (ranges: readonly { start: number; count: number }[]) =>
    ranges.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i))
  const ascending = (set: Set<number>) => [...set].sort((a, b) => a - b)
  expect(frames(found.ballooned)).toEqual(ascending(model.out))
  expect(frames(found.hotAdded)).toEqual(ascending(model.added))
  expect(frames(found.perhapsAdded)).toEqual(model.perhapsAdded())
  expect([found.knowsBallooned, found.knowsHotAdded, state.sawStart]).toEqual([
    model.sawStart && model.knowsOut,
    model.sawStart && model.knowsAdded,
    model.sawStart,
  ])
}
