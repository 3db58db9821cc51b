import { expect, test } from 'vitest'
import { ringMessages } from './ring-messages.ts'
import * as made from '../test/made-dm-message.ts'

/** Packets as a guest writes them: descriptor, data padded to eight bytes, where the packet began. */
function packet(message: Uint8Array, at = 0): Uint8Array {
  const padded = Math.ceil(message.length / 8) * 8
  const bytes = new Uint8Array(16 + padded + 8)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, 6, true)
  view.setUint16(2, 2, true)
  view.setUint16(4, 2 + padded / 8, true)
  view.setUint32(16 + padded + 4, at, true)
  bytes.set(message, 16)
  return bytes
}

const messages = [made.versionRequest(2, 0), made.capabilitiesReport(), made.unballoonResponse()]
const ring = new Uint8Array(Buffer.concat(messages.map((message) => packet(message))))

test('takes the messages out of their packets', () => {
  expect(ringMessages(ring)).toEqual(messages)
  expect(ringMessages(new Uint8Array(0))).toEqual([])
})

test('refuses a ring that does not end where it was written to', () => {
  for (let length = 1; length < ring.length; length++) {
    const found = ringMessages(ring.subarray(0, length))
    if (found !== undefined) expect(messages.slice(0, found.length)).toEqual(found)
  }
  expect(ringMessages(ring.subarray(0, ring.length - 8))).toBeUndefined()
  expect(ringMessages(ring.subarray(0, ring.length - 1))).toBeUndefined()
})

test.each([
  ['of another type', 0, 7],
  ['with data elsewhere', 2, 3],
  ['without length', 4, 0],
  ['longer than the ring', 5, 0xff],
  ['whose message is longer than its packet', 18, 0xff],
])('refuses a packet %s', (_, at, value) => {
  const bad = Uint8Array.from(ring)
  bad[at] = value
  expect(ringMessages(bad)).toBeUndefined()
})
