import { endOf, type PfnRange } from '@ullage/pages'
import { describe, expect, it } from 'vitest'
import { OfflineError } from '../offline-error.ts'
import type { BackingOptions, BackingRun } from '../offline-query.ts'
import {
  type ConformanceFixture,
  conformanceFailures,
  type GuestTruth,
  memoryFixture,
  MemoryGuest,
  offlineQueryConformance,
} from './index.ts'
import type { MemoryGuestOptions } from './memory-guest.ts'

const FOUR_GIB = 2 ** 20
const FRAME_BYTES = 4096

/** RAM below 1 MiB and from there on, split above 4 GiB, and a device's memory that touches the last part. */
const extents = [
  { start: 0, count: 160, name: 'ram0' },
  { start: 256, count: 1024, name: 'ram0' },
  { start: FOUR_GIB, count: 512, name: 'ram0' },
  { start: FOUR_GIB + 512, count: 256, name: 'vmem0' },
]

const truth: GuestTruth = {
  states: [
    { start: 0, count: 160, state: 'backed' },
    { start: 256, count: 300, state: 'backed' },
    { start: 600, count: 40, state: 'swapped' },
    { start: 640, count: 16, state: 'backed' },
    { start: 700, count: 580, state: 'unknown' },
    { start: FOUR_GIB, count: 100, state: 'backed' },
    { start: FOUR_GIB + 300, count: 300, state: 'backed' },
    { start: FOUR_GIB + 700, count: 68, state: 'swapped' },
  ],
  content: (pfn) => frameOf(pfn),
  unreadable: [
    { start: 300, count: 1 },
    { start: FOUR_GIB + 310, count: 2 },
  ],
}

/** A frame that says which one it is, in every eight bytes of it. */
function frameOf(pfn: number): Uint8Array {
  return new Uint8Array(new Float64Array(FRAME_BYTES / 8).fill(pfn + 0.25).buffer)
}

type GuestClass = new (options: MemoryGuestOptions) => MemoryGuest

const suiteOf = (Guest: GuestClass, capabilities: MemoryGuestOptions['capabilities'] = {}) => ({
  name: Guest.name,
  open: async (): Promise<ConformanceFixture> => memoryFixture(new Guest({ extents, truth, capabilities }), truth),
  openFailing: async (): Promise<ConformanceFixture> =>
    memoryFixture(new Guest({ extents, truth, capabilities, failsAt: FOUR_GIB + 50 }), truth),
})

describe('the reference', () => {
  offlineQueryConformance({ describe, it }, suiteOf(MemoryGuest))
  offlineQueryConformance(
    { describe, it },
    {
      ...suiteOf(MemoryGuest, { tellsSwapped: false, unbackedReads: 'nothing', snapshot: false }),
      name: 'other promises',
    },
  )
  offlineQueryConformance({ describe, it }, { ...suiteOf(MemoryGuest, { costly: true }), name: 'costly questions' })
})

async function all(runs: AsyncIterable<BackingRun>): Promise<BackingRun[]> {
  const collected: BackingRun[] = []
  for await (const run of runs) collected.push(run)
  return collected
}

class Unsorted extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    yield* (await all(super.runs(asked))).reverse()
  }
}

class Overlapping extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    for await (const run of super.runs(asked)) {
      const longer = endOf(run) < endOf(asked.within) ? run.count + 1 : run.count
      yield { ...run, count: longer }
    }
  }
}

class NotMaximal extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    for await (const run of super.runs(asked)) {
      const half = Math.ceil(run.count / 2)
      yield { ...run, count: half }
      if (run.count > half) yield { ...run, start: run.start + half, count: run.count - half }
    }
  }
}

class LeavesHolesOut extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    for await (const run of super.runs(asked)) if (run.state !== 'unbacked') yield run
  }
}

class EndsEarlyAfterError extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    try {
      yield* super.runs(asked)
    } catch (error) {
      if (error instanceof OfflineError) return
      throw error
    }
  }
}

class CallsTheRestUnbackedAfterError extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    let at = asked.within.start
    try {
      for await (const run of super.runs(asked)) {
        at = endOf(run)
        yield run
      }
    } catch (error) {
      if (!(error instanceof OfflineError)) throw error
      yield { start: at, count: endOf(asked.within) - at, state: 'unbacked' as const }
    }
  }
}

class DoesNotClip extends MemoryGuest {
  protected override async *runs({ within, signal }: BackingOptions) {
    const whole = { start: 0, count: 2 * FOUR_GIB }
    for await (const run of super.runs(signal ? { within: whole, signal } : { within: whole })) {
      if (endOf(run) > within.start && run.start < endOf(within)) yield run
    }
  }
}

class EndsOnAbort extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    for await (const run of super.runs({ within: asked.within })) {
      if (asked.signal?.aborted) return
      yield run
    }
  }
}

class IgnoresAbort extends MemoryGuest {
  protected override runs(asked: BackingOptions) {
    return super.runs({ within: asked.within })
  }
}

class ThrowsTheAbortReason extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    asked.signal?.throwIfAborted()
    yield* super.runs(asked)
  }
}

class CallsSwappedUnbacked extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    let open: BackingRun | undefined
    for await (const { start, count, state } of super.runs(asked)) {
      const seen = state === 'swapped' ? 'unbacked' : state
      if (open?.state === seen) open = { ...open, count: open.count + count }
      else {
        if (open) yield open
        open = { start, count, state: seen }
      }
    }
    if (open) yield open
  }
}

class ShiftedAbove4GiB extends MemoryGuest {
  protected override frame(pfn: number) {
    return super.frame(pfn >= FOUR_GIB && this.extents.some(({ start }) => start === pfn) ? pfn + 1 : pfn)
  }
}

class WrongStatesAbove4GiB extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    for await (const run of super.runs(asked)) {
      const inner = run.start > FOUR_GIB && run.start > asked.within.start && run.count > 1
      yield inner ? { ...run, start: run.start + 1, count: run.count - 1 } : run
    }
  }
}

class ShortReads extends MemoryGuest {
  override read(range: PfnRange, into: Uint8Array) {
    const whole = new Uint8Array(into.length)
    super.read(range, whole)
    into.set(whole.subarray(0, Math.min(whole.length, 16 * FRAME_BYTES)))
  }
}

class WritesBesideTheBuffer extends MemoryGuest {
  override read(range: PfnRange, into: Uint8Array) {
    super.read(range, into)
    new Uint8Array(into.buffer).fill(0, into.byteOffset + into.length)
  }
}

class ZerosForUnreadable extends MemoryGuest {
  protected override frame(pfn: number) {
    try {
      return super.frame(pfn)
    } catch (error) {
      if (error instanceof OfflineError) return new Uint8Array(FRAME_BYTES)
      throw error
    }
  }
}

class ZerosOutsideRam extends MemoryGuest {
  override read(range: PfnRange, into: Uint8Array) {
    const inRam = this.extents.some((extent) => extent.start <= range.start && endOf(range) <= endOf(extent))
    if (inRam || range.count > 1) super.read(range, into)
    else into.fill(0)
  }
}

class AllocatesWhenRead extends MemoryGuest {
  #extra = 0
  protected override frame(pfn: number) {
    if (super.frame(pfn).every((byte) => byte === 0)) this.#extra += FRAME_BYTES
    return super.frame(pfn)
  }
  override async hostMemory() {
    const { backedBytes, residentBytes } = await super.hostMemory()
    return { backedBytes: backedBytes + this.#extra, residentBytes }
  }
}

class Leaks extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    this.held++
    yield* super.runs(asked)
    this.held--
  }
}

class SharesOneCursor extends MemoryGuest {
  #at: BackingRun[] = []
  protected override async *runs(asked: BackingOptions) {
    this.#at = await all(super.runs(asked))
    for (let run = this.#at.shift(); run; run = this.#at.shift()) yield run
  }
}

class AnswersAfterDisposal extends MemoryGuest {
  override async [Symbol.asyncDispose]() {}
}

class ClosesTwice extends MemoryGuest {
  #closed = false
  override async [Symbol.asyncDispose]() {
    if (this.#closed) throw new Error('EBADF: bad file descriptor, close')
    this.#closed = true
    await super[Symbol.asyncDispose]()
  }
}

const wrong: [GuestClass, RegExp][] = [
  [Unsorted, /states of frames ascend/],
  [Overlapping, /states of frames ascend and are disjoint/],
  [NotMaximal, /states of frames are maximal/],
  [LeavesHolesOut, /states of frames have no gaps/],
  [EndsEarlyAfterError, /cannot be told come out as an OfflineError/],
  [CallsTheRestUnbackedAfterError, /cannot be told come out as an OfflineError/],
  [DoesNotClip, /states of frames are clipped/],
  [EndsOnAbort, /abort between two runs/],
  [IgnoresAbort, /abort between two runs/],
  [ThrowsTheAbortReason, /abort is AbortError whatever the reason/],
  [CallsSwappedUnbacked, /states of frames agree with the truth/],
  [ShiftedAbove4GiB, /guest memory has the true content on both sides/],
  [WrongStatesAbove4GiB, /states of frames have no gaps/],
  [ShortReads, /guest memory fills all of the buffer/],
  [WritesBesideTheBuffer, /guest memory fills all of the buffer and nothing beside/],
  [ZerosForUnreadable, /guest memory throws for a frame that it cannot give/],
  [ZerosOutsideRam, /guest memory refuses frames outside RAM/],
  [AllocatesWhenRead, /guest memory is not changed by being read/],
  [Leaks, /an iteration that ends early releases/],
  [SharesOneCursor, /states of frames are the same when asked again, and by two/],
  [AnswersAfterDisposal, /a guest can be disposed of twice, and answers no more/],
  [ClosesTwice, /a guest can be disposed of twice/],
]

describe('the suite', () => {
  it('finds nothing wrong with the reference, run the same way', async () => {
    expect(await conformanceFailures(suiteOf(MemoryGuest))).toEqual([])
  })

  it.each(wrong.map(([Guest, test]) => [Guest.name, Guest, test] as const))('fails %s', async (_name, Guest, test) => {
    expect((await conformanceFailures(suiteOf(Guest))).filter((name) => test.test(name))).not.toEqual([])
  })
})
