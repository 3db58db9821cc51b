import { ownIdentity } from '@ullage/native'
import { OfflineError, type PauseLease, throwIfAborted } from '@ullage/offline-query'
import { bootId } from './boot-id.ts'
import { Guardian, type GuardianOptions } from './guardian.ts'
import { goneError } from './hypercall-error.ts'
import type { DomainInfo, Hypervisor } from './hypervisor.ts'
import { readPauseRecord, removePauseRecord } from './pause-record.ts'
import { settlePause } from './settle-pause.ts'

export interface PauseOptions extends Omit<GuardianOptions, 'record'> {
  readonly signal?: AbortSignal | undefined
  /** Done while the guardian starts; the domain is paused when both are ready, and not where this rejects. */
  readonly beforeStop?: (() => Promise<void>) | undefined
}

/** A domain that stands still by our pause. Xen counts pauses: one that others had stays when ours is taken back. */
export class DomainPause implements PauseLease {
  #mode: 'paused' | 'stopped' = 'paused'
  readonly #hypervisor: Hypervisor
  readonly #domain: DomainInfo
  readonly #options: GuardianOptions
  #guardian: Guardian | undefined
  #isHeld = false
  #pausedAt = 0
  #resumed: Promise<number> | undefined

  private constructor(hypervisor: Hypervisor, domain: DomainInfo, options: GuardianOptions) {
    this.#hypervisor = hypervisor
    this.#domain = domain
    this.#options = options
  }

  /**
   * Pauses the domain, whose lock this process must hold. A guardian is armed before, a process and session of its own, which
   * takes the pause back when this process, or its whole process group, dies in any way. A pause that an earlier holder left,
   * killed together with its guardian, is taken back first. Throws OfflineError, AbortError.
   */
  static async take(hypervisor: Hypervisor, domain: DomainInfo, options: PauseOptions): Promise<DomainPause> {
    throwIfAborted(options.signal)
    const { domid, handle } = domain
    // Our own record is about to take the place of one that is still there: nobody would know of that pause any more.
    takeBackLeft(hypervisor, options.recordPath)
    const record = {
      domid,
      handle,
      bootId: bootId(),
      pausedBefore: hypervisor.info(domid)?.isPaused ?? false,
      holder: ownIdentity(),
      stage: 'pausing',
    } as const
    const pause = new DomainPause(hypervisor, domain, { ...options, record })
    try {
      const prepared = await Promise.allSettled([pause.#arm(), options.beforeStop?.()])
      for (const outcome of prepared) if (outcome.status === 'rejected') throw outcome.reason
      // The last moment at which nothing has been done yet.
      throwIfAborted(options.signal)
      const now = hypervisor.info(domid)
      if (now?.isPaused || now?.isShutdown) pause.#mode = 'stopped'
      pause.#pausedAt = performance.now()
      pause.#isHeld = true
      await pause.#guardian?.order('pause')
      return pause
    } catch (error) {
      await pause.#letGo()
      throw error
    }
  }

  get mode(): 'paused' | 'stopped' {
    return this.#mode
  }

  /** Process id of the guardian; 0 when there is none at the moment. */
  get guardianPid(): number {
    return this.#guardian?.pid ?? 0
  }

  resume(): Promise<number> {
    this.#resumed ??= this.#resume()
    return this.#resumed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.resume()
    } catch (error) {
      // Whoever needed the domain to stand still was told by `resume` or by its own next question.
      if (!(error instanceof OfflineError && error.code === 'UNAVAILABLE')) throw error
    }
  }

  async #resume(): Promise<number> {
    if (!this.#isHeld) return 0
    const now = this.#hypervisor.info(this.#domain.domid)
    const isThere = now !== undefined && now.handle === this.#domain.handle && !now.isDying
    await this.#letGo()
    if (!isThere) throw goneError(this.#domain.domid)
    if (!now.isPaused) {
      throw new OfflineError(
        'UNAVAILABLE',
        `expected domain ${this.#domain.domid} to stand still while it was paused, found that somebody else let it run; dump it again`,
      )
    }
    return this.#mode === 'paused' ? performance.now() - this.#pausedAt : 0
  }

  async #arm(): Promise<void> {
    const guardian = await Guardian.arm(this.#options)
    if (this.#resumed) return guardian.release()
    this.#guardian = guardian
    void guardian.ended.then(async () => {
      if (this.#guardian !== guardian) return
      this.#guardian = undefined
      // The record on disk covers the time until the new one is armed, and everything when it cannot be.
      await this.#replace().catch(() => undefined)
    })
  }

  /** A guardian was killed while it was needed: another one takes over what it had done. */
  async #replace(): Promise<void> {
    await this.#arm()
    const record = readPauseRecord(this.#options.recordPath)
    if (record?.stage === 'paused') await this.#guardian?.order('adopt')
  }

  /** Takes the pause back, by the guardian or, where that is gone, by what it wrote down. */
  async #letGo(): Promise<void> {
    this.#isHeld = false
    this.#resumed ??= Promise.resolve(0)
    const guardian = this.#guardian
    this.#guardian = undefined
    try {
      await guardian?.order('unpause')
    } catch (error) {
      if (!(error instanceof OfflineError)) throw error
    } finally {
      await guardian?.release()
    }
    takeBackLeft(this.#hypervisor, this.#options.recordPath)
  }
}

/** Takes back the pause of the record that is at `path`, if there is one, and removes it. Throws OfflineError CORRUPT. */
function takeBackLeft(hypervisor: Hypervisor, path: string): void {
  let left: ReturnType<typeof readPauseRecord>
  try {
    left = readPauseRecord(path)
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause
    throw new OfflineError(
      'CORRUPT',
      `cannot read what an earlier dump wrote of its pause: ${cause.message}; unpause the domain if it should run, then remove ${path}`,
      { cause },
    )
  }
  if (!left) return
  settlePause(hypervisor, left)
  removePauseRecord(path)
}
