import {
  type AddressSpace,
  closedGuest,
  type GuestIdentity,
  type GuestMemory,
  type GuestNotes,
  type HostMemory,
  type HypervisorFigures,
  OfflineError,
  type OfflineQuery,
  type OpenGuest,
  type PauseLease,
  type PauseOptions,
  throwIfAborted,
} from '@ullage/offline-query'
import { PAGE_BYTES } from '../core-layout.ts'
import type { DomainLayout } from './domain-layout.ts'
import { DomainMemory } from './domain-memory.ts'
import { domainNotes } from './domain-notes.ts'
import { DomainPause, type PauseOptions as DomainPauseOptions } from './domain-pause.ts'
import { goneError } from './hypercall-error.ts'
import type { DomainInfo, Hypervisor } from './hypervisor.ts'
import { PopulateGuard } from './populate-guard.ts'

/** What a live domain is made of. */
export interface DomainParts {
  readonly hypervisor: Hypervisor
  readonly domain: DomainInfo
  readonly allowPopulate: boolean
  /** Reads where RAM is. */
  readonly findLayout: (info: DomainInfo, signal: AbortSignal | undefined) => Promise<DomainLayout>
  readonly pauseOptions: DomainPauseOptions
  /** Closes everything. */
  readonly close: () => void
}

/** A live domain of this host's Xen. */
export class DomainGuest implements OpenGuest {
  readonly identity: GuestIdentity = { backend: 'xen', machine: 'x86_64', kind: 'live' }
  readonly memory: GuestMemory
  readonly addressSpace: AddressSpace
  readonly backing: OfflineQuery
  readonly #parts: DomainParts
  readonly #memory: DomainMemory
  readonly #guard: PopulateGuard
  #warnings: OpenGuest['warnings']
  #pause: DomainPause | undefined
  #closed = false

  private constructor(parts: DomainParts, guard: PopulateGuard, layout: DomainLayout) {
    this.#parts = parts
    this.#guard = guard
    this.#memory = new DomainMemory(parts.hypervisor, parts.domain, guard, layout)
    this.memory = this.#memory
    this.backing = this.#memory
    this.addressSpace = this.#memory.addressSpace
    this.#warnings = layout.warnings
  }

  /** Finds the domain's RAM. Closes nothing when it throws. */
  static async open(parts: DomainParts, signal: AbortSignal | undefined): Promise<DomainGuest> {
    const { hypervisor, domain, allowPopulate: allowed } = parts
    const guard = new PopulateGuard(hypervisor, domain.domid, { isTranslated: domain.isTranslated, allowed })
    return new DomainGuest(parts, guard, await parts.findLayout(domain, signal))
  }

  get warnings(): OpenGuest['warnings'] {
    return this.#warnings
  }

  async notes({ signal }: { signal?: AbortSignal } = {}): Promise<GuestNotes> {
    throwIfAborted(signal)
    return domainNotes(this.#parts.hypervisor, this.#info())
  }

  async pause({ signal, beforeStop }: PauseOptions = {}): Promise<PauseLease> {
    throwIfAborted(signal)
    const { hypervisor, pauseOptions, findLayout } = this.#parts
    const info = this.#info()
    if (this.#pause) {
      throw new OfflineError('BUSY', 'expected a domain that is not held, found it paused by this process')
    }
    this.#guard.refuseUnlessAllowed()
    const pause = await DomainPause.take(hypervisor, info, { ...pauseOptions, signal, beforeStop })
    this.#pause = pause
    this.#guard.standsStill = true
    try {
      const layout = await findLayout(this.#info(), signal)
      this.#memory.replace(layout)
      this.#warnings = layout.warnings
    } catch (error) {
      await this.#release()
      throw error
    }
    return {
      mode: pause.mode,
      resume: async () => {
        this.#guard.standsStill = false
        const pausedMs = await pause.resume()
        if (this.#pause === pause) this.#pause = undefined
        return pausedMs
      },
      [Symbol.asyncDispose]: () => this.#release(),
    }
  }

  async hostMemory(): Promise<HostMemory> {
    const { totalFrames } = this.#info()
    return { backedBytes: totalFrames * PAGE_BYTES, residentBytes: totalFrames * PAGE_BYTES }
  }

  async hypervisor({ signal }: { signal?: AbortSignal } = {}): Promise<HypervisorFigures> {
    throwIfAborted(signal)
    const { hypervisor, domain } = this.#parts
    const { questions } = hypervisor
    const { totalFrames } = this.#info()
    if (!domain.isTranslated) return { questions, totalFrames }
    return { questions, totalFrames, populateOnDemand: hypervisor.populateOnDemand(domain.domid) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    try {
      await this.#release()
    } finally {
      this.#closed = true
      this.#memory.close()
      this.#parts.close()
    }
  }

  /** What the hypervisor says of the domain now. Throws OfflineError UNAVAILABLE when it is not the one that was opened. */
  #info(): DomainInfo {
    if (this.#closed) throw closedGuest()
    const { hypervisor, domain } = this.#parts
    const info = hypervisor.info(domain.domid)
    if (!info || info.isDying || info.handle !== domain.handle) throw goneError(domain.domid)
    return info
  }

  async #release(): Promise<void> {
    const pause = this.#pause
    this.#pause = undefined
    this.#guard.standsStill = false
    await pause?.[Symbol.asyncDispose]()
  }
}
