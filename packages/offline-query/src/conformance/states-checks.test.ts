import { endOf } from '@ullage/pages'
import { describe, expect, it } from 'vitest'
import { failuresOf, FOUR_GIB, type GuestClass } from '../../test/made-guest.ts'
import { OfflineError } from '../offline-error.ts'
import type { BackingOptions, BackingRun } from '../offline-query.ts'
import { MemoryGuest } from './index.ts'

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

class WrongStatesAbove4GiB extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    for await (const run of super.runs(asked)) {
      const inner = run.start > FOUR_GIB && run.start > asked.within.start && run.count > 1
      yield inner ? { ...run, start: run.start + 1, count: run.count - 1 } : run
    }
  }
}

class SharesOneCursor extends MemoryGuest {
  #at: BackingRun[] = []
  protected override async *runs(asked: BackingOptions) {
    this.#at = await all(super.runs(asked))
    for (let run = this.#at.shift(); run; run = this.#at.shift()) yield run
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
  [CallsSwappedUnbacked, /states of frames agree with the truth/],
  [WrongStatesAbove4GiB, /states of frames have no gaps/],
  [SharesOneCursor, /states of frames are the same when asked again, and by two/],
]

describe('the suite, of states of frames', () => {
  it.each(wrong.map(([Guest, test]) => [Guest.name, Guest, test] as const))('fails %s', async (_name, Guest, test) => {
    expect(await failuresOf(Guest, test)).not.toEqual([])
  })
})
