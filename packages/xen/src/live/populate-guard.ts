import { OfflineError, type PopulateOnDemand } from '@ullage/offline-query'
import { endOf, type PfnRange } from '@ullage/pages'
import type { Hypervisor } from './hypervisor.ts'

/** Frames of a large page: populating one frame of it may populate all. */
const LARGE_PAGE_FRAMES = 512

/**
 * Keeps a domain from being changed, or worse, by being read: mapping a frame that is to be populated on demand gives it
 * memory, and where the domain's cache has none left Xen crashes the domain (Xen xen/arch/x86/mm/p2m-pod.c).
 */
export class PopulateGuard {
  readonly #hypervisor: Hypervisor
  readonly #domid: number
  readonly #allowed: boolean
  /** True while the vCPUs stand still by our pause: nobody else uses up the cache then. */
  standsStill = false
  /** Once nothing is outstanding, nothing ever is again: only the builder of a domain makes such frames. */
  #done: boolean

  constructor(hypervisor: Hypervisor, domid: number, options: { isTranslated: boolean; allowed: boolean }) {
    this.#hypervisor = hypervisor
    this.#domid = domid
    this.#allowed = options.allowed
    this.#done = !options.isTranslated
  }

  /** Whether frames may be waiting for memory. */
  isOutstanding(): boolean {
    return this.#counts() !== undefined
  }

  /** Throws OfflineError UNSUPPORTED when the domain cannot be dumped without giving frames memory. */
  refuseUnlessAllowed(): void {
    const counts = this.#counts()
    if (!counts || this.#allowed) return
    throw new OfflineError(
      'UNSUPPORTED',
      `expected a domain with all its memory, found ${counts.entries} frames of domain ${this.#domid} that get memory when touched ` +
        `(populate on demand, ${counts.cacheFrames} frames left for them): reading would give it to them; ` +
        'wait until its balloon has reached its target, or allow populateOnDemand in its source',
    )
  }

  /** Throws OfflineError UNREADABLE when mapping frames of `range` would change the domain and may not, or might crash it. */
  checkMapping(range: PfnRange): void {
    const counts = this.#counts()
    if (!counts) return
    const what = `frame ${range.start} cannot be read: ${counts.entries} frames of domain ${this.#domid} get memory when touched (populate on demand)`
    if (!this.#allowed) {
      throw new OfflineError('UNREADABLE', `${what}, and which is not told; allow populateOnDemand in its source`)
    }
    if (counts.entries <= counts.cacheFrames) return
    if (this.standsStill && framesOfLargePages(range) <= counts.cacheFrames) return
    const advice = this.standsStill ? '' : '; a paused domain has more that can be read'
    throw new OfflineError(
      'UNREADABLE',
      `${what}, and ${counts.cacheFrames} frames are left for them: reading might exhaust these, and xen would crash the domain${advice}`,
    )
  }

  #counts(): PopulateOnDemand | undefined {
    if (this.#done) return undefined
    const counts = this.#hypervisor.populateOnDemand(this.#domid)
    this.#done = counts.entries === 0
    return this.#done ? undefined : counts
  }
}

function framesOfLargePages(range: PfnRange): number {
  const first = Math.floor(range.start / LARGE_PAGE_FRAMES)
  return (Math.ceil(endOf(range) / LARGE_PAGE_FRAMES) - first) * LARGE_PAGE_FRAMES
}
