import type { Logger } from 'pino'

/** A folder that has not answered for so long is said to be waited for, in milliseconds. */
const SILENT_AFTER_MS = 10_000

/** A folder, by the setting that names it. */
export interface NamedFolder {
  readonly setting: string
  readonly folder: string
}

/**
 * Waits for folders that hang, as those of a network do, for as long as it takes: a new start would wait for them as well. What
 * is waited for is said once, in the log and in `reason`.
 */
export class FolderWaits {
  readonly #log: Pick<Logger, 'info' | 'warn'>
  readonly #silentAfterMs: number
  #silent: NamedFolder | undefined

  constructor(log: Pick<Logger, 'info' | 'warn'>, { silentAfterMs = SILENT_AFTER_MS } = {}) {
    this.#log = log
    this.#silentAfterMs = silentAfterMs
  }

  /** What is waited for, in a sentence without a path; undefined while all that was asked has answered. */
  get reason(): string | undefined {
    return this.#silent && `it waits for the folder of ${this.#silent.setting}, which does not answer`
  }

  /**
   * What `call` of this folder answers. An error that comes after the folder was silent is of its file system coming back: it is
   * asked again. Throws what the call throws otherwise.
   */
  async for<T>(asked: NamedFolder, call: () => Promise<T>): Promise<T> {
    for (;;) {
      const limit = setTimeout(() => this.#isSilent(asked), this.#silentAfterMs)
      try {
        return await call()
      } catch (error) {
        if (!this.#silent) throw error
      } finally {
        clearTimeout(limit)
        if (this.#silent) this.#log.info(asked, 'the folder answers')
        this.#silent = undefined
      }
    }
  }

  #isSilent(asked: NamedFolder): void {
    this.#silent = asked
    this.#log.warn(asked, 'the folder does not answer: the worker waits for it, and takes no jobs')
  }
}
