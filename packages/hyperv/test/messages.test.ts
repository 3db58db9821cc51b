import { readFileSync } from 'node:fs'
import {
  compareWithRing,
  type DmLine,
  DmState,
  inWireOrder,
  openHyperv,
  parseDmRanges,
  readDmMessages,
  recoverDmMessages,
} from '@ullage/hyperv'
import {
  framesWithFlag,
  type HypervMessages,
  KPF,
  openMemoryView,
  unpackHypervFixture,
  unpackHypervMessages,
} from '@ullage/lab'
import { type PfnRange, PfnSet } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { ringMessages, ringTail } from '../src/ring-messages.ts'

/** RAM of both kept guests: 256 MiB, and the memory device of the one that has it. */
const RAM: readonly PfnRange[] = [
  { start: 0, count: 65_536 },
  { start: 0x80_0000, count: 65_536 },
]

async function stateAfter(path: string): Promise<DmState> {
  const state = new DmState({ ram: RAM })
  for await (const { from, bytes } of readDmMessages(path)) expect(state.take(from, bytes)).toEqual([])
  return state
}

const offlineOf = (kept: HypervMessages) =>
  PfnSet.of(framesWithFlag(kept.kpageflags, KPF.offline).map((start) => ({ start, count: 1 })))

describe('messages of real guests', () => {
  test('of 6.1, ballooned and in part given back, end in the ranges, which are what its kernel calls offline', async () => {
    const kept = await unpackHypervMessages()
    const state = await stateAfter(kept.messages)
    expect(state.ranges()).toEqual(parseDmRanges(readFileSync(kept.ranges, 'utf8'), kept.ranges))
    expect(state.ranges().ballooned).toEqual([...offlineOf(kept).allRuns()])
    expect(state.version).toEqual({ major: 2, minor: 0 })
    expect([state.balloonedFrames, state.unansweredFrames]).toEqual([7680, 0])
  })

  test('of 6.12 with hot-added memory end in the ranges; its fake-offline frames are in none', async () => {
    const kept = await unpackHypervFixture()
    const state = await stateAfter(kept.messages)
    expect(state.ranges()).toEqual(parseDmRanges(readFileSync(kept.ranges, 'utf8'), kept.ranges))
    const offline = offlineOf(kept)
    for (const run of state.ranges().ballooned) {
      expect(offline.countIn(run)).toBe(run.count)
      offline.delete(run)
    }
    expect([...offline.allRuns()]).toEqual([{ start: 0x80_6400, count: 7168 }])
  })
})

describe('the ring buffers in guest memory', () => {
  test('hold the very messages of the wire, and lead to the same ranges', async () => {
    const kept = await unpackHypervFixture()
    const { source } = JSON.parse(readFileSync(kept.descriptors.messages, 'utf8')) as {
      source: { regions: Record<'gpa' | 'size' | 'file' | 'offset', string>[] }
    }
    const regions = source.regions.map(({ gpa, size, file, offset }) => ({
      gpa: Number(gpa),
      size: Number(size),
      file,
      offset: Number(offset),
    }))
    const options = { baseDir: kept.dir, stateDir: kept.dir }
    await using guest = await openHyperv({ kind: 'files', regions, messages: 'dm.jsonl' }, options)
    const [channel, ...more] = await recoverDmMessages(guest)
    expect(more).toEqual([])
    expect(channel).toMatchObject({ pfn: 0x2540, isWhole: true })
    if (!channel) throw new Error('no channel was found')
    const log: DmLine[] = []
    for await (const line of readDmMessages(kept.messages)) log.push(line)
    expect(compareWithRing(channel, log)).toEqual([])
    expect(compareWithRing(channel, log.slice(1))).toEqual([
      expect.stringMatching(/^the ring holds \d+ messages of the guest, the log \d+$/),
    ])
    const state = new DmState({ ram: guest.memory.extents })
    const recovered = inWireOrder(channel.fromGuest, channel.fromHost)
    expect(recovered).toHaveLength(log.length)
    for (const { from, bytes } of recovered) expect(state.take(from, bytes)).toEqual([])
    expect(state.ranges()).toEqual(parseDmRanges(readFileSync(kept.ranges, 'utf8'), kept.ranges))
  })

  test('carry trailers by which the same messages are found from their end', async () => {
    const { regions } = await unpackHypervFixture()
    using memory = openMemoryView(regions)
    const data = new Uint8Array(4 * 4096)
    memory.read({ start: 0x2541, count: 4 }, data)
    const writeIndex = 0x1a50
    const whole = ringMessages(data.subarray(0, writeIndex))
    expect(whole?.length).toBeGreaterThan(90)
    expect(ringTail(data, writeIndex)).toEqual(whole)
  })

  test('are looked for until the signal says no', async () => {
    const kept = await unpackHypervFixture()
    const regions = [{ gpa: 0, size: 1 << 20, file: 'ram.raw', offset: 0 }]
    const source = { kind: 'files', regions, ranges: 'dm-ranges.json' } as const
    await using guest = await openHyperv(source, { baseDir: kept.dir, stateDir: kept.dir })
    await expect(recoverDmMessages(guest, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })
})
