import { readFileSync } from 'node:fs'
import { DmState } from '@ullage/hyperv'
import { seeded, unpackHypervFixture, unpackHypervMessages } from '@ullage/lab'
import { expect, test } from 'vitest'
import * as made from './made-dm-message.ts'
import { PlainDmModel } from './plain-dm-model.ts'

const MESSAGES = 10_000_000
/** Messages between two comparisons with the plain model. */
const COMPARED_EVERY = 10_000
/** In the first half a channel begins anew after so many messages, so that much is known; the second is one channel. */
const CHANNEL = 1000
const RAM = [
  { start: 0, count: 2048 },
  { start: 0x80_0000, count: 1024 },
] as const

test(`${MESSAGES} mutated messages leave what a plain set of frames would, in the memory of one`, async () => {
  const corpus = await realMessages()
  const random = seeded(20_261_121)
  const dice = (sides: number) => Math.floor(random() * sides)
  let state = new DmState({ ram: RAM })
  let model = plainModel()
  let faults = 0
  let compared = 0
  const base = residentBytes()
  let most = 0
  const started = performance.now()
  for (let i = 0; i < MESSAGES; i++) {
    if (i <= MESSAGES / 2 && i % CHANNEL === 0) {
      state = new DmState({ ram: RAM })
      model = plainModel()
    }
    const [from, bytes] = mutated(dice(2) === 0 ? generated(dice) : (corpus[dice(corpus.length)] as Sent), dice)
    faults += state.take(from, bytes).length
    model.take(from, bytes)
    if (state.balloonedFrames !== model.out.size) throw new Error(`message ${i}: ${state.balloonedFrames} frames out`)
    if (i % COMPARED_EVERY === COMPARED_EVERY - 1 || i % CHANNEL === CHANNEL / 2) {
      compare(state, model)
      compared++
    }
    if (i % 1_000_000 === 0) most = Math.max(most, residentBytes() - base)
  }
  const seconds = (performance.now() - started) / 1000
  console.log(
    `${MESSAGES} messages in ${seconds.toFixed(0)} s, ${faults} faults, ${compared} comparisons, ${most >> 20} MiB more`,
  )
  expect(faults).toBeGreaterThan(MESSAGES / 10)
  // One state, one model, and what the collector has not come to yet.
  expect(most).toBeLessThan(256 << 20)
})

type Sent = readonly ['guest' | 'host', Uint8Array]
type Dice = (sides: number) => number

function plainModel(): PlainDmModel {
  return new PlainDmModel(RAM.map(({ start, count }) => [start, count]))
}

async function realMessages(): Promise<Sent[]> {
  const kept = [await unpackHypervFixture(), await unpackHypervMessages()]
  return kept.flatMap(({ messages }) =>
    readFileSync(messages, 'utf8')
      .trim()
      .split('\n')
      .map((line): Sent => {
        const { from, hex } = JSON.parse(line) as { from: 'guest' | 'host'; hex: string }
        return [from, Buffer.from(hex, 'hex')]
      }),
  )
}

/** A message that fits the small guest, most of those that move frames. */
function generated(dice: Dice): Sent {
  const pair = (): made.Pair => [dice(4) === 0 ? 0x80_0000 + dice(1100) : dice(2100), dice(64)]
  const pairs = () => Array.from({ length: dice(6) }, pair)
  switch (dice(12)) {
    case 0:
      return ['guest', made.versionRequest(dice(4), dice(4))]
    case 1:
      return ['host', made.versionResponse(dice(2) === 0)]
    case 2:
      return ['host', made.hotAddRequest(pair(), dice(2) === 0 ? pair() : undefined)]
    case 3:
      return ['guest', made.hotAddResponse(dice(80))]
    case 4:
    case 5:
    case 6:
      return ['host', made.balloonRequest(dice(512))]
    case 7:
    case 8:
    case 9:
      return ['guest', made.balloonResponse(pairs(), dice(2) === 0)]
    case 10:
      return ['host', made.unballoonRequest(pairs(), dice(2) === 0)]
    default:
      return ['guest', made.hotRemoveResponse(pairs())]
  }
}

/** Two of three as they are, or the state would never get anywhere; the others cut, turned, or with bytes changed. */
function mutated([from, bytes]: Sent, dice: Dice): Sent {
  switch (dice(12)) {
    case 0:
      return [from, bytes.subarray(0, dice(bytes.length + 1))]
    case 1:
      return [from === 'guest' ? 'host' : 'guest', bytes]
    case 2:
    case 3: {
      const copy = Uint8Array.from(bytes)
      for (let n = 1 + dice(4); n > 0; n--) copy[dice(copy.length)] = dice(256)
      return [from, copy]
    }
    default:
      return [from, bytes]
  }
}

function compare(state: DmState, model: PlainDmModel): void {
  const { ballooned, hotAdded, perhapsAdded, knowsBallooned, knowsHotAdded } = state.ranges()
  const frames = (ranges: readonly { start: number; count: number }[]) =>
    ranges.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i))
  const ascending = (set: Set<number>) => [...set].sort((a, b) => a - b)
  expect(frames(ballooned)).toEqual(ascending(model.out))
  expect(frames(hotAdded)).toEqual(ascending(model.added))
  expect(frames(perhapsAdded)).toEqual(model.perhapsAdded())
  expect([knowsBallooned, knowsHotAdded]).toEqual([
    model.sawStart && model.knowsOut,
    model.sawStart && model.knowsAdded,
  ])
}

function residentBytes(): number {
  return process.memoryUsage().rss
}
