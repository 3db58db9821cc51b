import { expect, test } from 'vitest'
import { inWireOrder } from './in-wire-order.ts'
import * as made from '../test/made-dm-message.ts'

const kindsOf = (order: ReturnType<typeof inWireOrder>) => order.map(({ bytes }) => bytes[0])

test('answers stand behind their requests, whatever lies between', () => {
  const guest = [
    made.versionRequest(2, 0),
    made.capabilitiesReport(),
    made.statusReport(1, 1),
    made.balloonResponse([[0, 4]], true),
    made.balloonResponse([[8, 4]]),
    made.unballoonResponse(),
    made.statusReport(2, 2),
    made.hotAddResponse(4),
    made.balloonResponse([]),
  ]
  const host = [
    made.versionResponse(),
    made.capabilitiesResponse(),
    made.balloonRequest(8),
    made.unballoonRequest([[0, 2]], true),
    made.unballoonRequest([[2, 2]]),
    made.hotAddRequest([0x80_0000, 4]),
    made.balloonRequest(8),
  ]
  expect(kindsOf(inWireOrder(guest, host))).toEqual([1, 2, 3, 4, 6, 5, 7, 7, 8, 8, 9, 10, 5, 11, 6, 7])
})

test('nothing is lost where requests or answers are missing', () => {
  const guest = [made.balloonResponse([[0, 4]]), made.statusReport(1, 1)]
  const host = [made.versionResponse(), made.balloonRequest(4), made.balloonRequest(4)]
  expect(inWireOrder(guest, host)).toHaveLength(5)
  expect(inWireOrder([], host)).toHaveLength(3)
  expect(inWireOrder(guest, [])).toHaveLength(2)
})
