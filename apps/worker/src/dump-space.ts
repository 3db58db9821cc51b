import { dirname } from 'node:path'
import { type Delivery, takenAtTheEnd, type WriteFollower } from '@ullage/artifact-store'
import type { SpaceLeft, SpaceNeed } from './child-protocol.ts'
import { FreeFloor } from './free-floor.ts'

/** How often the parent hears what may still be written, in bytes that were. */
const TELL_EVERY_BYTES = 64 << 20

export interface DumpSpaceOptions {
  /** Where the engine writes. */
  readonly output: string
  readonly delivery: Delivery
  /** What is to stay free on each file system, in bytes. */
  readonly keepFreeBytes: number
  /** Asks the parent, who decides between all dumps that run. Rejects where there is no room. */
  readonly ask: (needs: SpaceNeed[]) => Promise<void>
  /** Tells the parent what may still be written. */
  readonly tell: (left: SpaceLeft[]) => void
}

/** Space of one dump, in the process that writes it: asked for before it is written, watched while it is. */
export class DumpSpace {
  readonly #options: DumpSpaceOptions
  readonly #folder: string
  readonly #floor: FreeFloor
  readonly #storeFloor: FreeFloor | undefined
  #atMostBytes = 0
  #written = 0
  /** Size of the file so far, holes included. */
  #size = 0
  #stored = 0
  #told = 0
  #isWritten = false

  constructor(options: DumpSpaceOptions) {
    const { output, delivery, keepFreeBytes } = options
    this.#options = options
    this.#folder = dirname(output)
    this.#floor = new FreeFloor({ folder: this.#folder, keepFreeBytes })
    const end = takenAtTheEnd(delivery, 0)
    this.#storeFloor = end && new FreeFloor({ folder: end.folder, keepFreeBytes })
  }

  /** For the engine: resolves when the dump may be written. */
  readonly admit = async ({ atLeastBytes, atMostBytes }: Omit<SpaceNeed, 'folder'>): Promise<void> => {
    const { delivery, ask } = this.#options
    const [least, most] = [takenAtTheEnd(delivery, atLeastBytes), takenAtTheEnd(delivery, atMostBytes)]
    const needs = [{ folder: this.#folder, atLeastBytes, atMostBytes }]
    if (least && most) needs.push({ folder: most.folder, atLeastBytes: least.bytes, atMostBytes: most.bytes })
    await ask(needs)
    await this.#floor.require(atLeastBytes)
  }

  /** For the engine: told of every write, and telling `next`, if there is one. */
  follower(next: WriteFollower | undefined): WriteFollower {
    return {
      takesEarly: next?.takesEarly ?? false,
      begin: (file) => {
        this.#atMostBytes = file.atMostBytes
        this.#tell(file.atMostBytes)
        next?.begin(file)
      },
      wrote: (position, bytes) => {
        this.#written += bytes
        this.#size = Math.max(this.#size, position + bytes)
        this.#floor.wrote(bytes)
        if (this.#written - this.#told >= TELL_EVERY_BYTES) {
          this.#told = this.#written
          this.#tell(this.#atMostBytes)
        }
        next?.wrote(position, bytes)
      },
    }
  }

  /** The engine writes no more. */
  written(): void {
    if (this.#isWritten) return
    this.#isWritten = true
    this.#atMostBytes = this.#written
    this.#tell(this.#size)
  }

  /** The file is about to be brought to its place. Rejects with NO_SPACE where there is no room for what that takes. */
  async store(): Promise<void> {
    this.written()
    const end = takenAtTheEnd(this.#options.delivery, this.#size)
    if (end) await this.#storeFloor?.require(end.bytes)
  }

  /** So much of that is done, in bytes. Throws NO_SPACE. */
  stored(bytes: number): void {
    if (!this.#storeFloor) return
    this.#storeFloor.wrote(bytes - this.#stored)
    this.#stored = bytes
    this.#tell(this.#size)
  }

  #tell(fileBytes: number): void {
    const { delivery, tell } = this.#options
    const left = [{ folder: this.#folder, bytes: Math.max(0, this.#atMostBytes - this.#written) }]
    const end = takenAtTheEnd(delivery, fileBytes)
    if (end) left.push({ folder: end.folder, bytes: Math.max(0, end.bytes - this.#stored) })
    tell(left)
  }
}
