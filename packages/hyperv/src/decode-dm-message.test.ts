import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeDmMessage } from './decode-dm-message.ts'
import type { DmSender } from './dm-message.ts'
import { DmMessageError } from './dm-message-error.ts'
import * as made from '../test/made-dm-message.ts'

const hex = (text: string) => Buffer.from(text, 'hex')

/** As they were on the wire between Linux's hv_balloon and QEMU's hv-balloon, but for those of types neither sends. */
const messages: [DmSender, Uint8Array, { readonly kind: string; readonly [field: string]: unknown }][] = [
  [
    'guest',
    hex('01001000010000000000020000000000'),
    { kind: 'versionRequest', version: { major: 2, minor: 0 }, isLastAttempt: false },
  ],
  ['host', hex('02001000010000000100000000000000'), { kind: 'versionResponse', isAccepted: true }],
  [
    'guest',
    hex('03002000020000001f000000000000000000000000000000ffffffffffffffff'),
    { kind: 'capabilitiesReport', balloon: true, hotAdd: true, hotRemove: false, hotAddAlignment: 32_768 },
  ],
  [
    'host',
    hex('04001000020000000300000000000000'),
    { kind: 'capabilitiesResponse', isAccepted: true, hotRemove: true, suppressPressureReports: false },
  ],
  [
    'guest',
    hex(`0500300003000000b17a0000000000006050000000000000${'00'.repeat(24)}`),
    { kind: 'statusReport', available: 31_409, committed: 20_576 },
  ],
  ['host', hex('06001000010000000038000000000000'), { kind: 'balloonRequest', pages: 14_336 }],
  [
    'guest',
    hex('070020004b000000000000000400000000280000000002000030800000000200'),
    {
      kind: 'balloonResponse',
      more: false,
      ranges: [
        { start: 0x2800, count: 512 },
        { start: 0x80_3000, count: 512 },
      ],
    },
  ],
  [
    'guest',
    hex('07001800000000000000000003000000ffffffffff000001'),
    { kind: 'balloonResponse', more: true, ranges: [{ start: 2 ** 40 - 1, count: 0x1_0000 }] },
  ],
  [
    'host',
    hex('0800180001000000000000000100000000e6000000000e00'),
    { kind: 'unballoonRequest', more: false, ranges: [{ start: 0xe600, count: 3584 }] },
  ],
  ['host', hex('08001000010000000100000000000000'), { kind: 'unballoonRequest', more: true, ranges: [] }],
  ['guest', hex('090008000d000000'), { kind: 'unballoonResponse' }],
  [
    'host',
    hex('0a0018000000000000008000000064000000800000006400'),
    { kind: 'hotAddRequest', range: { start: 0x80_0000, count: 25_600 }, region: { start: 0x80_0000, count: 25_600 } },
  ],
  ['host', made.hotAddRequest([16, 0]), { kind: 'hotAddRequest', range: undefined, region: undefined }],
  ['guest', hex('0b001000080000000064000001000000'), { kind: 'hotAddResponse', pages: 25_600, isSuccess: true }],
  ['host', made.info(65_536), { kind: 'info', maxPages: 65_536 }],
  ['host', made.dmBytes(12, [0, 0]), { kind: 'info', maxPages: undefined }],
  ['host', made.hotRemoveRequest(512), { kind: 'hotRemoveRequest', pages: 512 }],
  [
    'guest',
    made.hotRemoveResponse([[8, 4]]),
    { kind: 'hotRemoveResponse', more: false, ranges: [{ start: 8, count: 4 }] },
  ],
]

test.each(messages.map(([from, bytes, expected]) => [expected.kind, from, bytes, expected] as const))(
  '%s from the %s',
  (_, from, bytes, expected) => {
    expect(decodeDmMessage(from, bytes)).toEqual(expected)
    // Packets are padded: what follows the message does not matter.
    const padded = new Uint8Array(bytes.length + 8).fill(0xff)
    padded.set(bytes)
    expect(decodeDmMessage(from, padded)).toEqual(expected)
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeDmMessage(from, bytes.subarray(0, length))).toThrow(DmMessageError)
    }
  },
)

test('ranges of no frames are left out', () => {
  const bytes = made.balloonResponse([
    [5, 0],
    [6, 1],
  ])
  expect(decodeDmMessage('guest', bytes)).toMatchObject({ ranges: [{ start: 6, count: 1 }] })
})

test('the count of ranges is taken for what there is room for, no more', () => {
  const bytes = made.dmBytes(7, [0, 0xffff_fffe], [[0, 1]])
  expect(() => decodeDmMessage('guest', bytes)).toThrow(
    expect.objectContaining({
      code: 'RANGES',
      message: expect.stringMatching(/counts 2147483647 ranges.* room for 1/),
    }),
  )
})

test('any bytes are a message, or an error that says why not', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<DmSender>('guest', 'host'),
      fc.nat(16),
      fc.uint8Array({ maxLength: 80 }),
      (from, type, rest) => {
        const bytes = Uint8Array.from([type, 0, rest.length + 4, 0, ...rest])
        try {
          expect(decodeDmMessage(from, bytes).kind).toMatch(/^[a-zA-Z]+$/)
        } catch (error) {
          expect(error).toBeInstanceOf(DmMessageError)
        }
      },
    ),
    { numRuns: 2000 },
  )
})
