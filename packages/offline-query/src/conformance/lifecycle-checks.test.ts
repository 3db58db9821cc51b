import { describe, expect, it } from 'vitest'
import { failuresOf, type GuestClass } from '../../test/made-guest.ts'
import type { BackingOptions } from '../offline-query.ts'
import type { PauseOptions } from '../open-guest.ts'
import { MemoryGuest } from './index.ts'

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

class Leaks extends MemoryGuest {
  protected override async *runs(asked: BackingOptions) {
    this.held++
    yield* super.runs(asked)
    this.held--
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

const stopped = { mode: 'paused', resume: async () => 1, [Symbol.asyncDispose]: async () => undefined } as const

class StopsUnasked extends MemoryGuest {
  override async pause() {
    return stopped
  }
}

class StopsThoughNotReady extends MemoryGuest {
  override async pause({ beforeStop }: PauseOptions = {}) {
    await beforeStop?.().catch(() => undefined)
    return stopped
  }
}

const wrong: [GuestClass, RegExp][] = [
  [StopsUnasked, /a guest is not stopped before its caller is ready/],
  [StopsThoughNotReady, /a guest is not stopped before its caller is ready/],
  [EndsOnAbort, /abort between two runs/],
  [IgnoresAbort, /abort between two runs/],
  [ThrowsTheAbortReason, /abort is AbortError whatever the reason/],
  [Leaks, /an iteration that ends early releases/],
  [AnswersAfterDisposal, /a guest can be disposed of twice, and answers no more/],
  [ClosesTwice, /a guest can be disposed of twice/],
]

describe('the suite, of aborting and closing', () => {
  it.each(wrong.map(([Guest, test]) => [Guest.name, Guest, test] as const))('fails %s', async (_name, Guest, test) => {
    expect(await failuresOf(Guest, test)).not.toEqual([])
  })
})
