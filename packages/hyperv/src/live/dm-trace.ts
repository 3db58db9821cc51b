import type { PfnRange } from '@ullage/pages'
import type { DmRanges } from '../dm-ranges.ts'
import { DmState } from '../dm-state.ts'
import type { TraceEvent } from './trace-event.ts'

/** Names of events that are kept to be told; there are about twenty. */
const MAX_NAMES = 20

/**
 * What QEMU's hv_balloon trace events, given in order, say of a guest's frames: the messages of the channel, put together
 * again and given to a `DmState`. A trace that began after the guest, or that was cut, knows what it saw and no more.
 */
export class DmTrace {
  readonly state: DmState
  #events = 0
  readonly #unreadable = new Map<string, number>()
  #isCut = false
  /** The guest's answer whose ranges are being told: told so far, and whether it is its last message. */
  #answer: { ranges: number; isLast: boolean; told: number } | undefined

  /** @param ram guest RAM, memory set aside for hot-add included: frames elsewhere are not kept. */
  constructor(ram: readonly PfnRange[]) {
    this.state = new DmState({ ram })
  }

  /** True when events are missing, since the file was cut or replaced. */
  get isCut(): boolean {
    return this.#isCut
  }

  /** How many hv_balloon events there were. */
  get events(): number {
    return this.#events
  }

  /** Names of events that could not be read, each with how many there were. */
  get unreadable(): ReadonlyMap<string, number> {
    return this.#unreadable
  }

  /** Takes the next event. */
  take(event: TraceEvent): void {
    this.#events++
    if (event.kind === 'removed') return this.#remove(event.range)
    if (event.kind === 'aside') return
    this.#endAnswer()
    switch (event.kind) {
      case 'version':
        this.state.apply({
          kind: 'versionRequest',
          version: { major: event.major, minor: event.minor },
          isLastAttempt: false,
        })
        return
      case 'state':
        // QEMU has accepted the version that the guest offered last.
        if (event.state === 'S_CAPS') this.state.apply({ kind: 'versionResponse', isAccepted: true })
        return
      case 'balloonRequest':
        this.state.apply({ kind: 'balloonRequest', pages: event.pages })
        return
      case 'balloonAnswer':
        // QEMU ends a request at an answer without ranges, whatever else it says.
        this.#answer = { ranges: event.ranges, isLast: !event.more || event.ranges === 0, told: 0 }
        return
      case 'unballoonRequest':
        this.state.apply({ kind: 'unballoonRequest', more: event.more, ranges: [event.range] })
        return
      case 'unballoonAnswer':
        this.state.apply({ kind: 'unballoonResponse' })
        return
      case 'hotAddRequest':
        this.state.apply({ kind: 'hotAddRequest', range: event.range, region: event.range })
        return
      case 'hotAddAnswer':
        this.state.apply({ kind: 'hotAddResponse', pages: event.pages, isSuccess: event.isSuccess })
        return
      case 'unreadable':
        this.#miss(event.name)
    }
  }

  /** The file was cut or replaced: events are missing here. */
  cut(): void {
    this.#isCut = true
  }

  /** The ranges as they stand now. Nothing at all where what is missing may have given frames back. */
  ranges(): DmRanges {
    if (this.#isCut || this.#unreadable.size > 0) {
      return { ballooned: [], hotAdded: [], perhapsAdded: [], knowsBallooned: false, knowsHotAdded: false }
    }
    return this.state.ranges()
  }

  #miss(name: string): void {
    const key = this.#unreadable.has(name) || this.#unreadable.size < MAX_NAMES ? name : 'others'
    this.#unreadable.set(key, (this.#unreadable.get(key) ?? 0) + 1)
  }

  #remove(range: PfnRange): void {
    if (this.#answer) this.#answer.told++
    this.state.apply({ kind: 'balloonResponse', more: true, ranges: [range] })
  }

  /** An answer is over when the next event is another one: QEMU traces no end. */
  #endAnswer(): void {
    const answer = this.#answer
    this.#answer = undefined
    // One whose ranges QEMU did not take was too short for them, and changed nothing.
    if (!answer?.isLast || (answer.ranges > 0 && answer.told === 0)) return
    this.state.apply({ kind: 'balloonResponse', more: false, ranges: [] })
  }
}
