import type { DumpOptions } from './dump-options.ts'
import type { LocalArtifact } from './local-artifact.ts'
import type { SpaceNeed } from './space-need.ts'

/** What was found out before so many milliseconds of waiting is found out again. */
const STALE_AFTER_MS = 1_000

/**
 * Asks, while nobody stands still, whether there is room for the artifact: first whoever decides that, then the file system.
 * A file system that does not answer, and other dumps that have to end first, are so waited for by a guest that runs.
 */
export class Admission {
  readonly #artifact: LocalArtifact
  readonly #admit: DumpOptions['admit']
  #freeBytes: number | undefined
  #tookMs = 0

  constructor(artifact: LocalArtifact, admit: DumpOptions['admit']) {
    this.#artifact = artifact
    this.#admit = admit
  }

  /** What was free when it was asked, in bytes; undefined before. */
  get freeBytes(): number | undefined {
    return this.#freeBytes
  }

  /** How long the answers took, in milliseconds. */
  get tookMs(): number {
    return this.#tookMs
  }

  /**
   * Asks, the first time only. Returns whether the answer took so long that what was known of a running guest no longer holds.
   * Throws what `admit` rejects with.
   */
  async ask(need: SpaceNeed): Promise<boolean> {
    if (this.#freeBytes !== undefined) return false
    const asked = performance.now()
    await this.#admit?.(need)
    this.#freeBytes = await this.#artifact.freeBytes()
    this.#tookMs = performance.now() - asked
    return this.#tookMs > STALE_AFTER_MS
  }
}
