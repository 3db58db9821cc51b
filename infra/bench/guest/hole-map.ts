import type { BackedFile, ByteRange, LabGuest } from '@ullage/lab'
import { punchHole } from '@ullage/native'
import { closeSync, openSync } from 'node:fs'

/** Which bytes of a stopped guest's RAM the host backs, kept to be brought back after a dump has filled the holes. */
export class HoleMap {
  readonly #guest: LabGuest
  readonly #kept: readonly BackedFile[]

  constructor(guest: LabGuest) {
    this.#guest = guest
    this.#kept = guest.backedRanges()
  }

  get backedBytes(): number {
    return this.#kept.flatMap(({ ranges }) => ranges).reduce((sum, range) => sum + range.endByte - range.startByte, 0)
  }

  /** Backed ranges of the first RAM file, ascending. */
  get ranges(): readonly ByteRange[] {
    return this.#kept[0]?.ranges ?? []
  }

  /** Punches again what was a hole, and makes sure of it. The guest must be stopped: then those bytes are zeros. */
  restore(): void {
    for (const { file, sizeBytes, ranges } of this.#kept) {
      const fd = openSync(file, 'r+')
      try {
        let at = 0
        for (const { startByte, endByte } of [...ranges, { startByte: sizeBytes, endByte: sizeBytes }]) {
          if (startByte > at) punchHole(fd, at, startByte - at)
          at = endByte
        }
      } finally {
        closeSync(fd)
      }
    }
    this.assertUnchanged('after its holes were punched again')
  }

  /** Throws when the host backs anything else than at first: SEEK_DATA and SEEK_HOLE, asked for every byte. */
  assertUnchanged(when: string): void {
    const now = this.#guest.backedRanges()
    if (JSON.stringify(now) === JSON.stringify(this.#kept)) return
    const bytes = (files: readonly BackedFile[]): number => files.reduce((sum, file) => sum + file.allocatedBytes, 0)
    throw new Error(
      `the holes of the guest's memory are not what they were, ${when}: ${bytes(this.#kept)} bytes backed at first, ${bytes(now)} now`,
    )
  }
}
