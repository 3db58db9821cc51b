import type { PfnRange } from '@ullage/pages'
import { decodeDmMessage } from './decode-dm-message.ts'
import { DmBalloon } from './dm-balloon.ts'
import { type DmFault, type DmFaultCount, DmFaults } from './dm-fault.ts'
import { DmHotAdd } from './dm-hot-add.ts'
import { DM_TYPE } from './dm-layout.ts'
import type { DmCapabilitySet, DmMessage, DmPressure, DmSender, DmVersion } from './dm-message.ts'
import { DmMessageError } from './dm-message-error.ts'
import type { DmRanges } from './dm-ranges.ts'
import { RamFrames } from './ram-frames.ts'

const VERSIONS: ReadonlySet<string> = new Set(['0.3', '1.0', '2.0'])

/** Types that say what is ballooned, or was hot-added: what a message of the type may change when it cannot be read. */
const GIVES_BACK: ReadonlySet<number> = new Set([DM_TYPE.VERSION_REQUEST, DM_TYPE.UNBALLOON_REQUEST])
const HOT_ADDS: ReadonlySet<number> = new Set([
  DM_TYPE.VERSION_REQUEST,
  DM_TYPE.MEM_HOT_ADD_REQUEST,
  DM_TYPE.MEM_HOT_ADD_RESPONSE,
  DM_TYPE.MEM_HOT_REMOVE_RESPONSE,
])

/**
 * What the messages of one Dynamic Memory channel, given in the order of the wire, say of a guest's frames: which are
 * ballooned out now, and which were hot-added. Works on its own: a VMM, or a tool that sees the channel, feeds it.
 *
 * It claims only what is certain. A frame is ballooned from the guest's answer that names it until the host's request that
 * gives it back; of all others nothing is known. A message that cannot be read costs what it may have changed: one that
 * may have given frames back makes all ballooned ones unknown, one that may have told of hot-added memory ends what is
 * known of that. Memory: two bits for each frame of guest RAM at most, and a few kilobytes.
 */
export class DmState {
  readonly #faults = new DmFaults()
  readonly #balloon: DmBalloon
  readonly #hotAdd: DmHotAdd
  /** `foreign`: guest and host agreed on a version that is not known here. */
  #phase: 'untouched' | 'negotiating' | 'open' | 'foreign' = 'untouched'
  #offered: DmVersion | undefined
  #version: DmVersion | undefined
  #reported: DmCapabilitySet | undefined
  #capabilities: DmCapabilitySet | undefined
  #pressure: DmPressure | undefined
  #maxPages: number | undefined
  #sawStart = false

  /** @param options.ram guest RAM, hot-added memory included: frames elsewhere are not kept. */
  constructor(options: { ram: readonly PfnRange[] }) {
    const ram = new RamFrames(options.ram)
    this.#balloon = new DmBalloon(ram, this.#faults)
    this.#hotAdd = new DmHotAdd(ram, this.#faults)
  }

  /** The version that the host has accepted. */
  get version(): DmVersion | undefined {
    return this.#version
  }

  /** What the guest can do, once the host has accepted it. */
  get capabilities(): DmCapabilitySet | undefined {
    return this.#capabilities
  }

  /** The guest's last report. */
  get pressure(): DmPressure | undefined {
    return this.#pressure
  }

  /** The most frames the guest may ever get, where the host has said so. */
  get maxPages(): number | undefined {
    return this.#maxPages
  }

  /** Number of frames that are ballooned out now. */
  get balloonedFrames(): number {
    return this.#balloon.out.size
  }

  /** Frames asked for and not given yet, by a guest that is slow, or that ignores ballooning for ever. */
  get unansweredFrames(): number {
    return this.#balloon.unansweredFrames
  }

  /** Whether the channel was seen from its start. */
  get sawStart(): boolean {
    return this.#sawStart
  }

  /** Every fault so far, counted by code. */
  get faults(): readonly DmFaultCount[] {
    return this.#faults.counted
  }

  isBallooned(pfn: number): boolean {
    return this.#balloon.out.has(pfn)
  }

  /** The ranges as they stand now. */
  ranges(): DmRanges {
    return {
      ballooned: [...this.#balloon.out.allRuns()],
      hotAdded: [...this.#hotAdd.added.allRuns()],
      perhapsAdded: this.#hotAdd.open,
      knowsBallooned: this.#sawStart && this.#balloon.isComplete,
      knowsHotAdded: this.#sawStart && this.#hotAdd.isComplete,
    }
  }

  /** Takes the next message of the wire. Returns what was wrong with it; throws nothing for what a guest or host sent. */
  take(from: DmSender, bytes: Uint8Array): readonly DmFault[] {
    let message: DmMessage
    try {
      message = decodeDmMessage(from, bytes)
    } catch (error) {
      if (!(error instanceof DmMessageError)) throw error
      if (this.#phase === 'untouched') this.#phase = 'open'
      this.#distrust(error.type)
      this.#faults.add(error.code, error.message)
      return this.#faults.taken()
    }
    return this.apply(message)
  }

  /** Takes the next message, decoded. */
  apply(message: DmMessage): readonly DmFault[] {
    if (message.kind === 'versionRequest') this.#offer(message.version)
    else if (message.kind === 'versionResponse') this.#agree(message.isAccepted)
    else this.#applyOpen(message)
    return this.#faults.taken()
  }

  #applyOpen(message: Exclude<DmMessage, { kind: 'versionRequest' | 'versionResponse' }>): void {
    if (this.#phase === 'negotiating' && this.#offered && !isKnown(this.#offered)) this.#becomeForeign(this.#offered)
    if (this.#phase === 'foreign') {
      this.#faults.add('VERSION', `expected a message of version 0.3, 1.0 or 2.0, found a ${message.kind} of another`)
      return
    }
    if (this.#phase === 'untouched') this.#phase = 'open'
    switch (message.kind) {
      case 'capabilitiesReport':
        this.#reported = message
        return
      case 'capabilitiesResponse':
        if (this.#reported === undefined) this.#faults.add('UNEXPECTED', 'an answer to capabilities not reported')
        this.#capabilities = message.isAccepted ? this.#reported : undefined
        return
      case 'statusReport':
        this.#pressure = message
        return
      case 'info':
        this.#maxPages = message.maxPages ?? this.#maxPages
        return
      case 'balloonRequest':
        return this.#balloon.ask(message.pages)
      case 'balloonResponse':
        return this.#balloon.answer(message)
      case 'unballoonRequest':
        return this.#balloon.giveBack(message)
      case 'unballoonResponse':
        return this.#balloon.confirmReturn()
      case 'hotAddRequest':
        if (message.range) this.#balloon.overtake(message.range)
        return this.#hotAdd.ask(message.range)
      case 'hotAddResponse':
        return this.#hotAdd.answer(message.pages)
      case 'hotRemoveRequest':
        return
      case 'hotRemoveResponse':
        // What a host does with these frames is described nowhere.
        return this.#hotAdd.miss()
      case 'error':
        this.#distrust(undefined)
        this.#faults.add('TYPE', 'an error message, whose meaning is described nowhere')
    }
  }

  /** A guest that negotiates anew has rebooted or loaded its driver again: of what it had given away nothing is known. */
  #offer(version: DmVersion): void {
    if (this.#phase === 'untouched') this.#sawStart = true
    else if (this.#phase !== 'negotiating') {
      this.#faults.add('RESTARTED', 'the guest negotiates anew: what was ballooned or hot-added before is not known')
      this.#balloon.forget()
      this.#hotAdd.miss()
    }
    this.#balloon.dropRequests()
    this.#phase = 'negotiating'
    this.#offered = version
    this.#version = undefined
    this.#reported = undefined
    this.#capabilities = undefined
  }

  #agree(isAccepted: boolean): void {
    const version = this.#offered
    this.#offered = undefined
    if (this.#phase === 'untouched') this.#phase = 'open'
    if (version === undefined) this.#faults.add('UNEXPECTED', 'an answer to a version that was not offered')
    else if (isAccepted && isKnown(version)) {
      this.#phase = 'open'
      this.#version = version
    } else if (isAccepted) this.#becomeForeign(version)
  }

  #becomeForeign({ major, minor }: DmVersion): void {
    this.#phase = 'foreign'
    this.#distrust(undefined)
    this.#faults.add('VERSION', `expected version 0.3, 1.0 or 2.0 of the protocol, found ${major}.${minor} agreed on`)
  }

  /** Forgets what a message of this type, which could not be read, may have changed; of no known type: everything. */
  #distrust(type: number | undefined): void {
    const isAnything = type === undefined || type === DM_TYPE.ERROR || type > DM_TYPE.MEM_HOT_REMOVE_RESPONSE
    if (isAnything || GIVES_BACK.has(type)) this.#balloon.forget()
    if (isAnything || HOT_ADDS.has(type)) this.#hotAdd.miss()
    if (type === DM_TYPE.BALLOON_RESPONSE) this.#balloon.miss()
  }
}

function isKnown({ major, minor }: DmVersion): boolean {
  return VERSIONS.has(`${major}.${minor}`)
}
