import assert from 'node:assert/strict'
import type { PfnRange } from '@ullage/pages'
import type { OfflineQuery } from '../offline-query.ts'
import type { PauseLease } from '../open-guest.ts'
import type { ConformanceFixture, ConformanceOptions, ConformanceRunner } from './conformance-fixture.ts'
import { expectedRuns } from './expected-runs.ts'
import { wholeSpace } from './windows.ts'
import { collectRuns, describeError, thrownBy, withFixture } from './with-fixture.ts'

const EARLY_ENDS = 32

/** Aborting, ending early, pausing and disposing. */
export function lifecycleChecks({ describe, it }: ConformanceRunner, { open }: ConformanceOptions): void {
  const check = (name: string, body: (fixture: ConformanceFixture) => Promise<void>) =>
    it(name, () => withFixture(open, body))

  describe('abort', () => {
    check('before the first run throws AbortError', async ({ guest }) => {
      const within = wholeSpace(guest.memory.extents)
      const error = await thrownBy(() =>
        guest.backing.backing({ within, signal: AbortSignal.abort() })[Symbol.asyncIterator]().next(),
      )
      assert.equal(nameOf(error), 'AbortError', describeError(error))
    })

    check('between two runs throws AbortError, and never ends instead', async ({ guest }) => {
      const within = wholeSpace(guest.memory.extents)
      const count = (await collectRuns(guest.backing, within)).length
      assert.ok(count >= 2, `the fixture has at least two runs, found ${count}`)
      for (const taken of [1, count - 1]) {
        const error = await thrownBy(() => takeThenAbort(guest.backing, within, taken))
        assert.equal(nameOf(error), 'AbortError', `after ${taken} of ${count} runs: ${describeError(error)}`)
      }
    })

    check('is AbortError whatever the reason given to the signal', async ({ guest }) => {
      const signal = AbortSignal.abort(new TypeError('a reason of its own'))
      const within = wholeSpace(guest.memory.extents)
      const error = await thrownBy(() => guest.backing.backing({ within, signal })[Symbol.asyncIterator]().next())
      assert.equal(nameOf(error), 'AbortError', describeError(error))
    })

    check('reaches notes and pause', async ({ guest }) => {
      for (const action of ['notes', 'pause'] as const) {
        const error = await thrownBy(() => guest[action]({ signal: AbortSignal.abort() }))
        assert.equal(nameOf(error), 'AbortError', `${action}: ${describeError(error)}`)
      }
    })
  })

  describe('an iteration', () => {
    check('that ends early releases what it held', async ({ guest, truth, heldOpen }) => {
      const within = wholeSpace(guest.memory.extents)
      await collectRuns(guest.backing, within)
      const before = heldOpen?.()
      for (let i = 0; i < EARLY_ENDS; i++) {
        for await (const run of guest.backing.backing({ within })) {
          assert.ok(run.count > 0)
          break
        }
      }
      if (before !== undefined) assert.ok((heldOpen?.() ?? 0) <= before, `held open: ${before}, then ${heldOpen?.()}`)
      const runs = await collectRuns(guest.backing, within)
      assert.deepEqual(runs, expectedRuns(truth, within, guest.backing.capabilities))
    })
  })

  describe('a guest', () => {
    check('says what it is', async ({ guest }) => {
      const { backend, machine, kind } = guest.identity
      assert.ok(backend.length > 0)
      assert.ok(machine === 'x86_64' || machine === 'aarch64', machine)
      assert.ok(kind === 'live' || kind === 'file', kind)
      for (const { code, text } of guest.warnings) assert.ok(/^[A-Z_]+$/.test(code) && text.length > 0, code)
      const { backedBytes, residentBytes } = await guest.hostMemory()
      const sane = Number.isSafeInteger(backedBytes) && residentBytes >= 0 && residentBytes <= backedBytes
      assert.ok(sane, `backed ${backedBytes}, resident ${residentBytes}`)
    })

    check('gives notes that are ELF notes', async ({ guest }) => {
      const { elfNotes, cpus } = await guest.notes()
      assert.ok(Number.isSafeInteger(cpus) && cpus >= 0, `${cpus} cpus`)
      const view = new DataView(elfNotes.buffer, elfNotes.byteOffset, elfNotes.byteLength)
      let at = 0
      while (at < elfNotes.length) {
        assert.ok(at + 12 <= elfNotes.length, `a note header at byte ${at} of ${elfNotes.length}`)
        const padded = (position: number): number => Math.ceil(view.getUint32(position, true) / 4) * 4
        at += 12 + padded(at) + padded(at + 4)
      }
      assert.equal(at, elfNotes.length, 'the notes end where the last of them ends')
    })

    check('is held by a lease, which ends once', async ({ guest }) => {
      const lease = await guest.pause()
      const modes = guest.identity.kind === 'file' ? ['file'] : ['paused', 'stopped']
      assert.ok(modes.includes(lease.mode), `a ${guest.identity.kind} guest is ${lease.mode}`)
      const pausedMs = await lease.resume()
      assert.ok(pausedMs >= 0 && (lease.mode === 'paused' || pausedMs === 0), `${pausedMs} ms`)
      assert.equal(await lease.resume(), pausedMs)
      await lease[Symbol.asyncDispose]()
      await lease[Symbol.asyncDispose]()
    })

    check('is not stopped before its caller is ready, nor where that fails', async ({ guest }) => {
      const failure = new Error('not ready')
      let held: PauseLease | undefined
      const error = await thrownBy(async () => {
        held = await guest.pause({ beforeStop: () => Promise.reject(failure) })
      })
      await held?.[Symbol.asyncDispose]()
      let calls = 0
      const lease = await guest.pause({ beforeStop: async () => void calls++ })
      assert.equal(calls, lease.mode === 'paused' ? 1 : 0, `beforeStop was called ${calls} times, ${lease.mode}`)
      assert.equal(error, lease.mode === 'paused' ? failure : undefined, describeError(error))
      await lease[Symbol.asyncDispose]()
    })

    check('can be disposed of twice, and answers no more', async ({ guest }) => {
      const within = wholeSpace(guest.memory.extents)
      const first = guest.memory.extents[0] as PfnRange
      const into = new Uint8Array(guest.memory.frameBytes)
      await guest[Symbol.asyncDispose]()
      await guest[Symbol.asyncDispose]()
      assert.ok((await thrownBy(() => collectRuns(guest.backing, within))) instanceof Error, 'backing after disposal')
      const read = await thrownBy(() => guest.memory.read({ start: first.start, count: 1 }, into))
      assert.ok(read instanceof Error, 'read after disposal')
    })
  })
}

async function takeThenAbort(query: OfflineQuery, within: PfnRange, taken: number): Promise<void> {
  const controller = new AbortController()
  const iterator = query.backing({ within, signal: controller.signal })[Symbol.asyncIterator]()
  for (let i = 0; i < taken; i++) await iterator.next()
  controller.abort()
  await iterator.next()
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'no error'
}
