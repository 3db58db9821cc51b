import type { PopulateOnDemand } from '@ullage/offline-query'
import { OfflineError } from '@ullage/offline-query'
import { BATCH_FRAMES, type DomainInfo, type Hypervisor, type MappedBytes } from '../../src/live/hypervisor.ts'

const PAGE_BYTES = 4096
const EINVAL = -22

/** A domain of the scripted hypervisor, as its state is at the moment. */
export interface FakeDomain {
  info: DomainInfo
  /** Content by the hypervisor's number of the frame: guest frames of a translated domain, machine frames of a PV one. */
  readonly frames: Map<number, Uint8Array>
  /** Frames that look like memory and cannot be mapped. */
  readonly unmappable?: ReadonlySet<number>
  pod?: PopulateOnDemand
  readonly maximumFrame?: number
  readonly contexts?: readonly (Uint8Array | undefined)[]
  readonly addressBits?: number
}

/** Where the count of pauses is kept: in memory, or in a file that several processes share. */
export interface PauseCount {
  get(): number
  set(count: number): void
}

export function pauseCount(count = 0): PauseCount {
  let now = count
  return {
    get: () => now,
    set: (next) => {
      now = next
    },
  }
}

/**
 * A scripted stand-in for Xen, for the logic above the hypercalls; what real Xen does is tested on it. It counts questions
 * as the real one does, and remembers which frames were asked about and mapped.
 */
export class FakeHypervisor implements Hypervisor {
  readonly version = '4.17'
  questions = 0
  readonly asked: { start: number; count: number }[] = []
  readonly mapped: number[] = []
  isClosed = false
  readonly domains = new Map<number, FakeDomain>()
  pauses: PauseCount

  constructor(domain?: FakeDomain, pauses: PauseCount = pauseCount()) {
    if (domain) this.domains.set(domain.info.domid, domain)
    this.pauses = pauses
  }

  info(domid: number): DomainInfo | undefined {
    this.questions++
    const info = this.domains.get(domid)?.info
    return info && { ...info, isPaused: this.pauses.get() > 0 }
  }

  pause(): void {
    this.questions++
    this.pauses.set(this.pauses.get() + 1)
  }

  unpause(domid: number): boolean {
    this.questions++
    if (this.pauses.get() === 0 || !this.domains.has(domid)) return false
    this.pauses.set(this.pauses.get() - 1)
    return true
  }

  addressBits(domid: number): number {
    this.questions++
    return this.#domain(domid).addressBits ?? 64
  }

  vcpuContext(domid: number, vcpu: number): Uint8Array | undefined {
    this.questions++
    return this.#domain(domid).contexts?.[vcpu]
  }

  maximumFrame(domid: number): number {
    this.questions++
    const { frames, maximumFrame } = this.#domain(domid)
    return maximumFrame ?? Math.max(...frames.keys())
  }

  populateOnDemand(domid: number): PopulateOnDemand {
    this.questions++
    const { pod, info } = this.#domain(domid)
    return pod ?? { targetFrames: info.totalFrames, cacheFrames: 0, entries: 0 }
  }

  memTypes(domid: number, frames: readonly number[]): Uint16Array {
    this.#ask(frames, frames.length)
    const domain = this.#domain(domid)
    return Uint16Array.from(frames, (frame) => (domain.frames.has(frame) || domain.unmappable?.has(frame) ? 0 : 2))
  }

  frameTypes(domid: number, frames: readonly number[]): Uint8Array {
    this.#ask(frames, 1)
    const domain = this.#domain(domid)
    return Uint8Array.from(frames, (frame) => (domain.frames.has(frame) ? 0 : 0xf))
  }

  map<T>(domid: number, frames: readonly number[], use: (bytes: MappedBytes, errors: Int32Array) => T): T {
    if (frames.length === 0 || frames.length > BATCH_FRAMES)
      throw new RangeError(`${frames.length} frames in one mapping`)
    this.questions++
    this.mapped.push(...frames)
    const domain = this.#domain(domid)
    const errors = Int32Array.from(frames, (frame) => (domain.frames.has(frame) ? 0 : EINVAL))
    const read = (offsetBytes: number, into: Uint8Array): void => {
      for (let done = 0; done < into.length; done += PAGE_BYTES) {
        const index = (offsetBytes + done) / PAGE_BYTES
        const page = domain.frames.get(frames[index] as number)
        // What a real process would be killed for.
        if (!page) throw new Error(`frame ${frames[index]} is not mapped and was touched`)
        into.set(page, done)
      }
    }
    return use({ read }, errors)
  }

  [Symbol.dispose](): void {
    this.isClosed = true
  }

  #ask(frames: readonly number[], questions: number): void {
    if (frames.length === 0 || frames.length > BATCH_FRAMES)
      throw new RangeError(`${frames.length} frames in one question`)
    this.questions += questions
    for (const start of frames) this.asked.push({ start, count: 1 })
  }

  #domain(domid: number): FakeDomain {
    const domain = this.domains.get(domid)
    if (!domain) throw new OfflineError('UNAVAILABLE', `expected domain ${domid}, found that it is gone`)
    return domain
  }
}

/** Xenstore of a host with one domain. */
export function fakeStore(values: Readonly<Record<string, string>>): {
  list(path: string): string[]
  read(path: string): string | undefined
} {
  return {
    read: (path) => values[path],
    list: (path) => [
      ...new Set(
        Object.keys(values).flatMap((key) =>
          key.startsWith(`${path}/`) ? [key.slice(path.length + 1).split('/')[0] ?? ''] : [],
        ),
      ),
    ],
  }
}

/** A page whose content tells its frame. */
export function pageOf(frame: number): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES).fill(frame & 0xff)
  new DataView(page.buffer).setBigUint64(0, BigInt(frame), true)
  return page
}

export function domainInfo(info: Partial<DomainInfo> = {}): DomainInfo {
  return {
    domid: 7,
    handle: '00112233445566778899aabbccddeeff',
    isTranslated: true,
    isDying: false,
    isShutdown: false,
    isPaused: false,
    totalFrames: 0,
    maxFrames: 0,
    pagedFrames: 0,
    sharedInfoFrame: 0,
    maxVcpu: 0,
    ...info,
  }
}
