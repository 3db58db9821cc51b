import { stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { unlessAborted } from '@ullage/dump-job'
import type { SpaceLeft, SpaceNeed } from './child-protocol.ts'
import { freeBytesOf } from './free-bytes-of.ts'
import { AttemptError } from './job-failure.ts'

const LOOK_EVERY_MS = 1_000
/** An upload that has had no part for a day is taken for one that nobody makes any more. */
const WAIT_AT_MOST_MS = 12 * 3_600_000

/** Where a folder lies, and what is free there now. */
export interface FolderRoom {
  /** The same for folders that share their space. */
  readonly fileSystem: number
  readonly freeBytes: number
}

export interface SpaceLedgerOptions {
  /** What dumps leave free on each file system, in bytes. */
  readonly keepFreeBytes: number
  readonly look?: (folder: string) => Promise<FolderRoom>
  readonly lookEveryMs?: number
  readonly waitAtMostMs?: number
}

export interface ReserveOptions {
  readonly signal: AbortSignal
  /** Told each time that there was no room yet, with a sentence. Not told while a file system does not answer. */
  readonly onWait?: (why: string) => void
}

/** What one attempt at a dump has of the space. Disposing it gives all of it back: to be done when its files are gone or kept. */
export interface SpaceClaim extends Disposable {
  /**
   * Resolves when the dump may be written. Waits, in the order of asking, while others have claims whose end may make room for
   * the most that it may take. With nobody to wait for it goes on where it may fit, and throws AttemptError `NO_SPACE` where
   * not even the least fits, and after 12 hours of waiting. Throws the signal's reason.
   */
  reserve(needs: readonly SpaceNeed[], options: ReserveOptions): Promise<void>
  /** What may still be written by now, of what was reserved. */
  left(left: readonly SpaceLeft[]): void
}

/** What is left to write in a folder, in bytes, by folder. */
type Reserved = Map<string, { readonly fileSystem: number; bytes: number }>

/** What the needs of a dump come to on one file system. */
interface Demand {
  readonly folders: string[]
  readonly fileSystem: number
  readonly freeBytes: number
  atLeastBytes: number
  atMostBytes: number
}

/** Who may write how much: the dumps of this worker together leave `keepFreeBytes` free on each file system. */
export class SpaceLedger {
  readonly #keepFreeBytes: number
  readonly #look: (folder: string) => Promise<FolderRoom>
  readonly #lookEveryMs: number
  readonly #waitAtMostMs: number
  readonly #granted = new Set<Reserved>()
  readonly #waiting: object[] = []
  /** One look at a time: a file system that does not answer holds no more threads the more dumps want to know. */
  #looking: Promise<unknown> = Promise.resolve()
  #changed = Promise.withResolvers<void>()

  constructor({
    keepFreeBytes,
    look = roomOf,
    lookEveryMs = LOOK_EVERY_MS,
    waitAtMostMs = WAIT_AT_MOST_MS,
  }: SpaceLedgerOptions) {
    this.#keepFreeBytes = keepFreeBytes
    this.#look = look
    this.#lookEveryMs = lookEveryMs
    this.#waitAtMostMs = waitAtMostMs
  }

  /** How many dumps wait for room now. */
  get waiting(): number {
    return this.#waiting.length
  }

  claim(): SpaceClaim {
    const reserved: Reserved = new Map()
    return {
      reserve: (needs, options) => this.#reserve(reserved, needs, options),
      left: (left) => {
        for (const { folder, bytes } of left) {
          const entry = reserved.get(folder)
          if (entry) entry.bytes = bytes
        }
        this.#wake()
      },
      [Symbol.dispose]: () => {
        this.#granted.delete(reserved)
        this.#wake()
      },
    }
  }

  async #reserve(reserved: Reserved, needs: readonly SpaceNeed[], options: ReserveOptions): Promise<void> {
    const { signal, onWait } = options
    const place = {}
    const until = performance.now() + this.#waitAtMostMs
    this.#waiting.push(place)
    try {
      for (;;) {
        signal.throwIfAborted()
        const changed = this.#changed.promise
        const isFirst = this.#waiting[0] === place
        const why = isFirst
          ? await unlessAborted(this.#judge(reserved, needs, signal), signal)
          : 'others asked for space before'
        if (why === undefined) return
        if (performance.now() > until) {
          const hours = Math.round(this.#waitAtMostMs / 3_600_000)
          throw new AttemptError('NO_SPACE', `no room came in ${hours} hours (${why}); nothing was written: free some`)
        }
        onWait?.(why)
        await unlessAborted(Promise.race([changed, delay(this.#lookEveryMs, undefined, { ref: false })]), signal)
      }
    } finally {
      this.#waiting.splice(this.#waiting.indexOf(place), 1)
      this.#wake()
    }
  }

  /** Grants what is asked for, or returns why that has to wait. Throws AttemptError `NO_SPACE`. */
  async #judge(reserved: Reserved, needs: readonly SpaceNeed[], signal: AbortSignal): Promise<string | undefined> {
    const demands = demandsOf(needs, await this.#roomsOf(needs))
    // An answer may come long after nobody waits for it any more.
    signal.throwIfAborted()
    for (const demand of demands) {
      const others = [...this.#granted].flatMap((granted) =>
        [...granted.values()].filter(({ fileSystem }) => fileSystem === demand.fileSystem),
      )
      const promised = others.reduce((sum, { bytes }) => sum + bytes, 0)
      const room = demand.freeBytes - this.#keepFreeBytes
      if (room - promised >= demand.atMostBytes) continue
      if (others.length > 0) return `${this.#told(demand)}, others may still write ${promised}`
      if (room >= demand.atLeastBytes) continue
      const missing = demand.atLeastBytes - room
      throw new AttemptError(
        'NO_SPACE',
        `${this.#told(demand)}; nothing was written: free at least ${missing} bytes, and more for its pages`,
      )
    }
    needs.forEach(({ folder, atMostBytes }, at) => {
      const fileSystem = demands.find(({ folders }) => folders.includes(folder))?.fileSystem ?? at
      reserved.set(folder, { fileSystem, bytes: atMostBytes })
    })
    this.#granted.add(reserved)
    return undefined
  }

  #told({ folders, atLeastBytes, atMostBytes, freeBytes }: Demand): string {
    return (
      `the dump takes ${atLeastBytes} to ${atMostBytes} bytes where ${folders.join(' and ')} ${folders.length > 1 ? 'are' : 'is'}, ` +
      `${freeBytes} are free there and ${this.#keepFreeBytes} are to stay free (ULLAGE_FREE_BYTES)`
    )
  }

  #roomsOf(needs: readonly SpaceNeed[]): Promise<FolderRoom[]> {
    const rooms = this.#looking.then(() => Promise.all(needs.map(({ folder }) => this.#look(folder))))
    this.#looking = rooms.catch(() => undefined)
    return rooms
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

async function roomOf(folder: string): Promise<FolderRoom> {
  const { dev } = await stat(folder)
  return { fileSystem: dev, freeBytes: await freeBytesOf(folder) }
}

/** Folders of one file system together. */
function demandsOf(needs: readonly SpaceNeed[], rooms: readonly FolderRoom[]): Demand[] {
  const demands = new Map<number, Demand>()
  needs.forEach(({ folder, atLeastBytes, atMostBytes }, at) => {
    const { fileSystem, freeBytes } = rooms[at] as FolderRoom
    const demand = demands.get(fileSystem) ?? { folders: [], fileSystem, freeBytes, atLeastBytes: 0, atMostBytes: 0 }
    demand.folders.push(folder)
    demand.atLeastBytes += atLeastBytes
    demand.atMostBytes += atMostBytes
    demands.set(fileSystem, demand)
  })
  return [...demands.values()]
}
