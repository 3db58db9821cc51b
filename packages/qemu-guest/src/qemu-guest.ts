import type { HostProcess } from '@ullage/host-memory'
import {
  type AddressSpace,
  type GuestIdentity,
  type GuestMemory,
  type GuestNotes,
  type HostMemory,
  identityAddressSpace,
  type MemoryDevices,
  OfflineError,
  type OfflineQuery,
  type OpenGuest,
  type PauseLease,
  type PauseOptions,
} from '@ullage/offline-query'
import { mergeRanges } from '@ullage/pages'
import {
  type Guardian,
  type GuestPause,
  pauseGuest,
  type QmpClient,
  refuseUnsuitable,
  RunStateWatch,
  virtioMemDevices,
} from '@ullage/qemu'
import { liveNotes } from './live-notes.ts'
import { openLiveRam } from './live-ram.ts'
import type { Warning } from './live-warnings.ts'
import type { OpenResources } from './open-resources.ts'
import type { OpenedRam } from './opened-ram.ts'
import type { OpenQemuGuestOptions } from './open-qemu-guest.ts'
import type { SecondWitness } from './second-witness.ts'
import { translatedAsync } from './to-offline-error.ts'

/** What a live guest is made of, all of it open. */
export interface LiveParts {
  readonly machine: GuestIdentity['machine']
  readonly client: QmpClient
  readonly process: HostProcess
  readonly ram: OpenedRam
  /** What does not change while the guest is open. */
  readonly warnings: Warning[]
  readonly witness: SecondWitness | undefined
  /** What the witness said when the guest was opened. */
  readonly told: readonly Warning[]
  /** Descriptor of the guest's lock. */
  readonly lockFd: number
  /** What guards the guest when it is paused for the first time, started already. */
  readonly guardian: Guardian | undefined
  readonly options: Pick<OpenQemuGuestOptions, 'backend' | 'stateDir' | 'guardianScope'>
  /** Closes everything above. */
  readonly resources: OpenResources
}

/** A guest of a QEMU on this host. */
export class QemuGuest implements OpenGuest {
  readonly identity: GuestIdentity
  readonly memory: GuestMemory
  readonly addressSpace: AddressSpace = identityAddressSpace
  readonly backing: OfflineQuery
  readonly #parts: LiveParts
  #told: readonly Warning[]
  #pause: GuestPause | undefined
  #guardian: Guardian | undefined

  constructor(parts: LiveParts) {
    this.identity = { backend: parts.options.backend, machine: parts.machine, kind: 'live' }
    this.memory = parts.ram
    this.backing = parts.ram
    this.#told = parts.told
    this.#parts = parts
    this.#guardian = parts.guardian
  }

  get warnings(): readonly Warning[] {
    return [...this.#parts.warnings, ...this.#told]
  }

  notes(options: { signal?: AbortSignal } = {}): Promise<GuestNotes> {
    const { client, ram } = this.#parts
    return translatedAsync(async () => {
      using watch = new RunStateWatch(client)
      const notes = await liveNotes(client, ram, { folder: this.#parts.options.stateDir, signal: options.signal })
      if (notes.cpus === 0)
        this.#warnOnce('NO_NOTES', 'qemu gave no CPU notes: no frame is backed, or CPU 0 is not in 64-bit mode')
      return { elfNotes: notes.elfNotes, cpus: notes.cpus, stoodMs: watch.stoodMs }
    }, options.signal)
  }

  pause(options: PauseOptions = {}): Promise<PauseLease> {
    return translatedAsync(async () => {
      if (this.#pause)
        throw new OfflineError('BUSY', 'expected a guest that is not held, found it paused by this process')
      const { client, process, ram, witness, lockFd } = this.#parts
      const { stateDir, guardianScope: scope } = this.#parts.options
      await refuseUnsuitable(client, options)
      const guardian = this.#guardian
      this.#guardian = undefined
      const { signal, beforeStop } = options
      const pause = await pauseGuest(client, { stateDir, lockFd, scope, guardian, signal, beforeStop })
      this.#pause = pause
      try {
        const now = await openLiveRam(client, process, options)
        ram.replace(now.ram, now.notDumped)
        this.#told = (await witness?.look({ client, ram: now.ram, signal: options.signal })) ?? []
      } catch (error) {
        await this.#release()
        throw error
      }
      return this.#lease(pause)
    }, options.signal)
  }

  async hostMemory(): Promise<HostMemory> {
    return this.#parts.ram.hostMemory()
  }

  memoryDevices(options: { signal?: AbortSignal } = {}): Promise<MemoryDevices> {
    return translatedAsync(async () => {
      const { client, ram, witness } = this.#parts
      const { frameBytes } = ram
      const pluggable = (await virtioMemDevices(client, options)).map(({ startBytes, maxSizeBytes }) => ({
        start: startBytes / frameBytes,
        count: maxSizeBytes / frameBytes,
      }))
      const ballooned = witness?.ballooned?.()
      return ballooned ? { ballooned, pluggable: mergeRanges(pluggable) } : { pluggable: mergeRanges(pluggable) }
    }, options.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#release()
    } finally {
      await this.#parts.resources[Symbol.asyncDispose]()
    }
  }

  #lease(pause: GuestPause): PauseLease {
    return {
      mode: pause.mode,
      resume: () =>
        translatedAsync(async () => {
          const pausedMs = await pause.resume()
          if (this.#pause === pause) this.#pause = undefined
          return pausedMs
        }),
      [Symbol.asyncDispose]: () => this.#release(),
    }
  }

  async #release(): Promise<void> {
    const pause = this.#pause
    this.#pause = undefined
    await translatedAsync(async () => pause?.[Symbol.asyncDispose]())
  }

  #warnOnce(code: string, text: string): void {
    if (!this.#parts.warnings.some((warning) => warning.code === code)) this.#parts.warnings.push({ code, text })
  }
}
