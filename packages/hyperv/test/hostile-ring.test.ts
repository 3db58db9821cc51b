import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { compareWithRing, openHyperv, recoverDmMessages } from '@ullage/hyperv'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as made from './made-dm-message.ts'

const FRAME_BYTES = 4096
const FRAMES = 16_384

const folder = mkdtempSync('/dev/shm/ullage-hostile-ring-')
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeAll(() => writeFileSync(join(folder, 'ranges.json'), '{"ballooned": [[9, 1]], "hotAdded": []}'))

/** A packet as a guest writes it at `at` of a ring's data: descriptor, data padded to eight bytes, where it began. */
function packet(message: Uint8Array, at: number): Uint8Array {
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

const RING_BYTES = 4 * FRAME_BYTES

/** Two rings: header, four data pages, header, four data pages. What is beyond the end of a ring goes on at its start. */
function rings(sent: readonly Uint8Array[], received: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(10 * FRAME_BYTES)
  for (const [messages, header] of [
    [sent, 0],
    [received, 5 * FRAME_BYTES],
  ] as const) {
    let at = 0
    for (const message of messages) {
      for (const byte of packet(message, at)) {
        bytes[header + FRAME_BYTES + at] = byte
        at = (at + 1) % RING_BYTES
      }
    }
    new DataView(bytes.buffer).setUint32(header, at, true)
    new DataView(bytes.buffer).setUint32(header + 4, at, true)
  }
  return bytes
}

async function recover(parts: readonly (readonly [number, Uint8Array])[]) {
  const fd = openSync(join(folder, 'ram.raw'), 'w')
  for (const [frame, bytes] of parts) writeSync(fd, bytes, 0, bytes.length, frame * FRAME_BYTES)
  writeSync(fd, new Uint8Array(1), 0, 1, FRAMES * FRAME_BYTES - 1)
  closeSync(fd)
  const regions = [{ gpa: 0, size: FRAMES * FRAME_BYTES, file: 'ram.raw', offset: 0 }]
  const source = { kind: 'files', regions, ranges: 'ranges.json' } as const
  await using guest = await openHyperv(source, { baseDir: folder, stateDir: folder })
  return await recoverDmMessages(guest)
}

const sent = [made.versionRequest(2, 0), made.capabilitiesReport(), made.balloonResponse([[8, 4]])]
const received = [made.versionResponse(), made.capabilitiesResponse(), made.balloonRequest(4)]

describe('rings in guest memory', () => {
  test('are found wherever they lie, in the order of the wire', async () => {
    for (const frame of [10, 255, 256, 300, FRAMES - 10]) {
      const [channel, ...more] = await recover([[frame, rings(sent, received)]])
      expect(more).toEqual([])
      expect(channel).toEqual({ pfn: frame, isWhole: true, fromGuest: sent, fromHost: received })
    }
  })

  test('that have wrapped hold the last messages, whole', async () => {
    const reports = Array.from({ length: 1000 }, (_, i) => made.statusReport(i, 2 * i))
    for (const count of [225, 226, 227, 228, 500, 1000]) {
      const all = [...sent, ...reports.slice(0, count)]
      const [channel, ...more] = await recover([[3000, rings(all, received)]])
      expect(more).toEqual([])
      expect(channel).toMatchObject({ pfn: 3000, isWhole: count < 226, fromHost: received })
      const found = channel?.fromGuest ?? []
      expect(found.length).toBeGreaterThan(220)
      expect(found).toEqual(all.slice(-found.length))
      const log = all.map((bytes) => ({ from: 'guest' as const, bytes }))
      const fromHost = received.map((bytes) => ({ from: 'host' as const, bytes }))
      if (!channel) throw new Error('no channel was found')
      expect(compareWithRing(channel, [...log, ...fromHost])).toEqual([])
      expect(compareWithRing(channel, [...log.slice(0, -1), ...fromHost])).toHaveLength(1)
    }
  })

  test.each<[string, (bytes: DataView) => void]>([
    ['whose write index is no packet’s end', (bytes) => bytes.setUint32(0, bytes.getUint32(0, true) + 8, true)],
    ['whose write index is beyond any ring', (bytes) => bytes.setUint32(0, 0xffff_fff8, true)],
    ['whose read index is beyond the write index', (bytes) => bytes.setUint32(4, 0xffff_fff8, true)],
    ['that is empty', (bytes) => bytes.setUint32(0, 0, true)],
    ['without the other direction', (bytes) => bytes.setUint32(5 * FRAME_BYTES, 0, true)],
  ])('%s are none', async (_, damage) => {
    const bytes = rings(sent, received)
    damage(new DataView(bytes.buffer))
    expect(await recover([[4000, bytes]])).toEqual([])
  })

  test.each<[string, (bytes: DataView) => void]>([
    ['a packet of no length', (bytes) => bytes.setUint16(FRAME_BYTES + 40 + 4, 0, true)],
    ['a message longer than its packet', (bytes) => bytes.setUint16(FRAME_BYTES + 40 + 18, 0xffff, true)],
  ])('with %s hold what comes behind it', async (_, damage) => {
    const bytes = rings(sent, received)
    damage(new DataView(bytes.buffer))
    const found = { pfn: 4000, isWhole: false, fromGuest: sent.slice(2), fromHost: received }
    expect(await recover([[4000, bytes]])).toEqual([found])
  })

  test('that lie across a frame without memory are none', async () => {
    for (const frame of [4, 8]) expect(await recover([[frame, rings(sent, received)]])).toEqual([])
  })

  test('made up all over memory cost no more than a few hundred of them do', async () => {
    const fake = new Uint8Array(FRAMES * FRAME_BYTES)
    const first = packet(made.versionResponse(), 0)
    for (let at = 0; at < fake.length; at += FRAME_BYTES) fake.set(first, at)
    const started = performance.now()
    expect(await recover([[0, fake]])).toEqual([])
    expect(performance.now() - started).toBeLessThan(20_000)
  })
})
