import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { SpaceNeed } from './child-protocol.ts'
import { type SpaceClaim, SpaceLedger } from './space-ledger.ts'

const never = new AbortController().signal
const DISK = '/disk'

/** A ledger over file systems of which these bytes are free; folders of one letter's beginning share one. */
function ledgerOf(free: Record<string, number>, keepFreeBytes = 0) {
  const systems = Object.keys(free)
  return new SpaceLedger({
    keepFreeBytes,
    lookEveryMs: 1,
    look: async (folder) => {
      const fileSystem = systems.findIndex((name) => folder.startsWith(name))
      return { fileSystem, freeBytes: free[systems[fileSystem] ?? ''] ?? 0 }
    },
  })
}

const need = (atMostBytes: number, atLeastBytes = 0, folder = DISK): SpaceNeed => ({
  folder,
  atLeastBytes,
  atMostBytes,
})

/** Asks, and tells whether that was granted so far. */
function ask(claim: SpaceClaim, needs: readonly SpaceNeed[], signal = never) {
  const state = { granted: false, waits: [] as string[] }
  const answer = claim.reserve(needs, { signal, onWait: (why) => void state.waits.push(why) }).then(() => {
    state.granted = true
  })
  answer.catch(() => undefined)
  return { state, answer }
}

test('dumps that run together leave room for the most that each may take', async () => {
  const free = { [DISK]: 1_000 }
  const ledger = ledgerOf(free, 100)
  const first = ledger.claim()
  await ask(first, [need(500)]).answer
  const second = ask(ledger.claim(), [need(500)])
  await delay(30)
  expect(second.state.granted).toBe(false)
  expect(second.state.waits[0]).toBe(
    'the dump takes 0 to 500 bytes where /disk is, 1000 are free there and 100 are to stay free (ULLAGE_FREE_BYTES), ' +
      'others may still write 500',
  )
  // The first one took less than it might have.
  free[DISK] = 700
  first[Symbol.dispose]()
  await second.answer
})

test('what a dump has written is not counted twice, and what it will not write any more not at all', async () => {
  const free = { [DISK]: 1_000 }
  const ledger = ledgerOf(free)
  const first = ledger.claim()
  await ask(first, [need(600)]).answer
  free[DISK] = 700
  const second = ask(ledger.claim(), [need(500)])
  await delay(20)
  expect(second.state.granted).toBe(false)
  first.left([{ folder: DISK, bytes: 300 }])
  await delay(20)
  expect(second.state.granted).toBe(false)
  first.left([{ folder: DISK, bytes: 200 }])
  await second.answer
})

test('one that is alone goes on where it may fit', async () => {
  const ledger = ledgerOf({ [DISK]: 1_000 }, 100)
  await ask(ledger.claim(), [need(1_000_000, 900)]).answer
})

test('one that cannot fit with nobody to wait for fails with the numbers', async () => {
  const ledger = ledgerOf({ [DISK]: 500 }, 100)
  const { answer } = ask(ledger.claim(), [need(2_000, 450)])
  await expect(answer).rejects.toMatchObject({
    failure: {
      code: 'NO_SPACE',
      message:
        'the dump takes 450 to 2000 bytes where /disk is, 500 are free there and 100 are to stay free (ULLAGE_FREE_BYTES); ' +
        'nothing was written: free at least 50 bytes, and more for its pages',
    },
  })
  // The next one has its turn.
  await ask(ledger.claim(), [need(400, 100)]).answer
})

test('one that cannot fit while others run waits for them', async () => {
  const free = { [DISK]: 500 }
  const ledger = ledgerOf(free)
  const first = ledger.claim()
  await ask(first, [need(400)]).answer
  free[DISK] = 100
  const second = ask(ledger.claim(), [need(450, 450)])
  await delay(20)
  expect(second.state.granted).toBe(false)
  free[DISK] = 500
  first[Symbol.dispose]()
  await second.answer
})

test('they are granted in the order of asking', async () => {
  const ledger = ledgerOf({ [DISK]: 500 })
  const first = ledger.claim()
  await ask(first, [need(300)]).answer
  const large = ask(ledger.claim(), [need(400)])
  const small = ask(ledger.claim(), [need(100)])
  await delay(20)
  expect([large.state.granted, small.state.granted]).toEqual([false, false])
  expect(small.state.waits[0]).toBe('others asked for space before')
  first[Symbol.dispose]()
  await Promise.all([large.answer, small.answer])
})

test.each([
  ['the first', 0],
  ['the last', 1],
])('%s of those that wait can be ended, and the others go on', async (_, which) => {
  const ledger = ledgerOf({ [DISK]: 500 })
  const running = ledger.claim()
  await ask(running, [need(300)]).answer
  const ends = [new AbortController(), new AbortController()]
  const waiting = ends.map(({ signal }) => ask(ledger.claim(), [need(300)], signal))
  await delay(10)
  ends[which]?.abort('ended')
  await expect(waiting[which]?.answer).rejects.toBe('ended')
  expect(waiting[1 - which]?.state.granted).toBe(false)
  running[Symbol.dispose]()
  await waiting[1 - which]?.answer
})

test('folders of one file system share its room, those of others do not', async () => {
  const needs = (atMostBytes: number) => [need(atMostBytes, 0, '/disk/spool'), need(atMostBytes, 0, '/disk/kept')]
  const shared = ledgerOf({ '/disk': 1_000 })
  await ask(shared.claim(), needs(400)).answer
  const second = ask(shared.claim(), needs(200))
  await delay(20)
  expect(second.state.granted).toBe(false)
  expect(second.state.waits[0]).toContain('0 to 400 bytes where /disk/spool and /disk/kept are')
  const apart = ledgerOf({ '/disk/spool': 600, '/disk/kept': 600 })
  await ask(apart.claim(), needs(400)).answer
  await ask(apart.claim(), needs(200)).answer
})

test('a file system that does not answer is asked once, and whoever waits for it can be ended', async () => {
  let asked = 0
  const answers = Promise.withResolvers<{ fileSystem: number; freeBytes: number }>()
  const look = () => {
    asked++
    return answers.promise
  }
  const ledger = new SpaceLedger({ keepFreeBytes: 0, lookEveryMs: 1, look })
  const end = new AbortController()
  const first = ask(ledger.claim(), [need(1)], end.signal)
  const second = ask(ledger.claim(), [need(1)])
  await delay(20)
  end.abort('ended')
  await expect(first.answer).rejects.toBe('ended')
  await delay(20)
  expect(asked).toBe(1)
  // Who is ended for silence is one whose file system is silent.
  expect(first.state.waits).toEqual([])
  answers.resolve({ fileSystem: 0, freeBytes: 1 })
  // What was ended has nothing.
  await second.answer
})

test('a file system that cannot be asked is told', async () => {
  const gone = new Error('gone')
  const ledger = new SpaceLedger({ keepFreeBytes: 0, look: () => Promise.reject(gone) })
  await expect(ask(ledger.claim(), [need(1)]).answer).rejects.toBe(gone)
})

test('a dump that waits is counted, and does not wait for ever', async () => {
  const look = async () => ({ fileSystem: 1, freeBytes: 1_000 })
  const ledger = new SpaceLedger({ keepFreeBytes: 0, lookEveryMs: 1, waitAtMostMs: 40, look })
  await ledger.claim().reserve([need(1_000)], { signal: never })
  expect(ledger.waiting).toBe(0)
  const { answer } = ask(ledger.claim(), [need(1_000)])
  expect(ledger.waiting).toBe(1)
  await expect(answer).rejects.toMatchObject({ failure: { code: 'NO_SPACE' } })
  await expect(answer).rejects.toThrow(/no room came in 0 hours \(the dump takes 0 to 1000 bytes/)
  expect(ledger.waiting).toBe(0)
})
