import { cutRange, endOf } from '@ullage/pages'
import { describe, expect, it } from 'vitest'
import type { BackingOptions, BackingRun } from '../offline-query.ts'
import { type ConformanceFixture, conformanceFailures, type GuestTruth, memoryFixture, MemoryGuest } from './index.ts'
import type { MemoryGuestOptions } from './memory-guest.ts'

const extents = [
  { start: 0, count: 160, name: 'ram' },
  { start: 256, count: 500, name: 'ram' },
]

const truth: GuestTruth = {
  states: [
    { start: 0, count: 100, state: 'backed' },
    { start: 120, count: 40, state: 'backed' },
    { start: 300, count: 80, state: 'backed' },
    { start: 400, count: 300, state: 'unknown' },
  ],
  content: (pfn) => new Uint8Array(4096).fill(pfn % 251),
}

type GuestClass = new (options: MemoryGuestOptions) => MemoryGuest

async function failuresOf(Guest: GuestClass, costly: boolean, hasRecord = true): Promise<string[]> {
  return conformanceFailures({
    name: Guest.name,
    open: async (): Promise<ConformanceFixture> => {
      const guest = new Guest({ extents, truth, capabilities: { costly } })
      return hasRecord ? memoryFixture(guest, truth) : { guest, truth }
    },
  })
}

/** Neighbours of one state joined. */
async function* joined(runs: AsyncIterable<BackingRun>): AsyncGenerator<BackingRun> {
  let open: BackingRun | undefined
  for await (const run of runs) {
    if (open?.state === run.state) {
      open = { ...open, count: open.count + run.count }
      continue
    }
    if (open) yield open
    open = run
  }
  if (open) yield open
}

class TellsSkippedFrames extends MemoryGuest {
  protected override runs({ within, signal }: BackingOptions) {
    return super.runs({ within, ...(signal && { signal }) })
  }
}

class AsksAndHidesIt extends MemoryGuest {
  protected override async *runs(options: BackingOptions) {
    yield* super.runs(options)
    this.asked.push(options.within)
  }
}

class AsksOneFrameTooMany extends MemoryGuest {
  protected override async *runs(options: BackingOptions) {
    yield* super.runs(options)
    for (const piece of cutRange(options.within, options.skip ?? [])) {
      if (!piece.inside) this.asked.push({ start: piece.start, count: piece.count + 1 })
    }
  }
}

class SkipsWholeBatches extends MemoryGuest {
  protected override runs({ skip = [], ...options }: BackingOptions) {
    const rounded = [...cutRange(options.within, skip)].flatMap(({ start, count, inside }) =>
      inside ? [{ start, count: Math.min(count + 1, endOf(options.within) - start) }] : [],
    )
    return super.runs({ ...options, skip: rounded })
  }
}

class CallsSkippedUnbacked extends MemoryGuest {
  protected override async *runs(options: BackingOptions) {
    yield* joined(this.#unbacked(options))
  }
  async *#unbacked(options: BackingOptions): AsyncGenerator<BackingRun> {
    for await (const run of super.runs(options)) {
      for (const { inside, ...piece } of cutRange(run, options.skip ?? [])) {
        yield { ...piece, state: inside ? 'unbacked' : run.state }
      }
    }
  }
}

class LeavesSkippedOut extends MemoryGuest {
  protected override async *runs(options: BackingOptions) {
    for await (const run of super.runs(options)) {
      for (const { inside, ...piece } of cutRange(run, options.skip ?? [])) {
        if (!inside) yield { ...piece, state: run.state }
      }
    }
  }
}

class CallsSkippedOutsideRamUnknown extends MemoryGuest {
  protected override async *runs(options: BackingOptions) {
    yield* joined(this.#unknown(options))
  }
  async *#unknown(options: BackingOptions): AsyncGenerator<BackingRun> {
    for await (const run of super.runs(options)) {
      for (const { inside, ...piece } of cutRange(run, options.skip ?? [])) {
        yield { ...piece, state: inside ? 'unknown' : run.state }
      }
    }
  }
}

class TakesAnySkip extends MemoryGuest {
  protected override runs({ skip = [], ...options }: BackingOptions) {
    const usable = skip.filter(({ start, count }) => Number.isInteger(start) && start >= 0 && count > 0)
    return super.runs({
      ...options,
      skip: usable.filter((range, i) => usable.slice(0, i).every((b) => endOf(b) <= range.start)),
    })
  }
}

class CountsQuestions extends MemoryGuest {
  protected questions = 0
  /** Finding out the figures costs two questions itself. */
  async hypervisor() {
    this.questions += 2
    return { questions: this.questions }
  }
}

class AsksWhileAllIsSkipped extends CountsQuestions {
  protected override async *runs(options: BackingOptions) {
    this.questions++
    yield* super.runs(options)
  }
}

const wrong: [GuestClass, RegExp][] = [
  [TellsSkippedFrames, /are told apart/],
  [TellsSkippedFrames, /are not asked about/],
  [AsksAndHidesIt, /are not asked about/],
  [AsksOneFrameTooMany, /are not asked about/],
  [SkipsWholeBatches, /are told apart/],
  [CallsSkippedUnbacked, /are told apart/],
  [LeavesSkippedOut, /are told apart/],
  [CallsSkippedOutsideRamUnknown, /are told apart/],
  [TakesAnySkip, /are ascending and disjoint/],
  [AsksWhileAllIsSkipped, /are not asked about/],
]

describe('the suite, of a costly source', () => {
  it.each(wrong.map(([Guest, test]) => [Guest.name, Guest, test] as const))('fails %s', async (_name, Guest, test) => {
    expect((await failuresOf(Guest, true)).filter((name) => test.test(name))).not.toEqual([])
  })

  it('fails one whose questions nobody counts, and takes either way of counting', async () => {
    expect(await failuresOf(MemoryGuest, true, false)).toEqual([expect.stringMatching(/are not asked about/)])
    expect(await failuresOf(CountsQuestions, true, false)).toEqual([])
    expect(await failuresOf(AsksWhileAllIsSkipped, true, false)).toEqual([expect.stringMatching(/are not asked about/)])
  })
})

describe('the suite, of any other source', () => {
  it('lets it heed what may be skipped, or not', async () => {
    expect(await failuresOf(MemoryGuest, false)).toEqual([])
    expect(await failuresOf(AsksAndHidesIt, false)).toEqual([])
  })

  it.each([[CallsSkippedUnbacked], [LeavesSkippedOut]])('fails %o', async (Guest) => {
    expect((await failuresOf(Guest, false)).filter((name) => /are told apart/.test(name))).not.toEqual([])
  })
})
