import { openXenStore } from '@ullage/native'
import { OfflineError, type OpenGuest, throwIfAborted } from '@ullage/offline-query'
import type { DomainSource, OpenXenOptions } from '../xen-source.ts'
import { DomainGuest } from './domain-guest.ts'
import { lockDomain } from './domain-lock.ts'
import { type DomainNames, findDomain, toldRam } from './find-domain.ts'
import type { DomainInfo, Hypervisor } from './hypervisor.ts'
import { lockPathOf, pauseRecordPath } from './pause-record.ts'
import { pvLayout } from './pv-layout.ts'
import { translated } from './to-offline-error.ts'
import { translatedLayout } from './translated-layout.ts'
import { XenHypervisor } from './xen-hypervisor.ts'

/** What a host with Xen has. Closing the store is up to whoever opened it. */
export interface XenHost {
  readonly hypervisor: Hypervisor
  readonly store: DomainNames
  /** Module that guards a paused domain; the one for this host's Xen when left out. */
  readonly guardianMain?: URL
}

/** Opens a live domain of this host: locks it, finds its memory. Throws OfflineError, AbortError. */
export async function openDomain(source: DomainSource, options: OpenXenOptions): Promise<OpenGuest> {
  throwIfAborted(options.signal)
  const hypervisor = XenHypervisor.open()
  try {
    using store = translated(() => openXenStore())
    return await openDomainOn({ hypervisor, store }, source, options)
  } catch (error) {
    hypervisor[Symbol.dispose]()
    throw error
  }
}

/** Opens a domain of `host`, whose hypervisor it takes over when it does not throw. */
export async function openDomainOn(
  { hypervisor, store, guardianMain }: XenHost,
  source: DomainSource,
  options: OpenXenOptions,
): Promise<OpenGuest> {
  const domid = findDomain(store, source.domain)
  const domain = hypervisor.info(domid)
  if (!domain) throw new OfflineError('GUEST_NOT_FOUND', `expected a domain with the number ${domid}, found none`)
  refuseUnsuitable(hypervisor, domain)
  const layoutOf = (domain.isTranslated ? translatedLayout : pvLayout)(hypervisor, toldRam(store, domid))
  const recordPath = pauseRecordPath(options.stateDir, domain.handle)
  const lock = lockDomain(lockPathOf(recordPath), domid)
  try {
    return await DomainGuest.open(
      {
        hypervisor,
        domain,
        allowPopulate: source.allow?.includes('populateOnDemand') ?? false,
        findLayout: (info, signal) => {
          refuseUnsuitable(hypervisor, info)
          return layoutOf(info, signal)
        },
        pauseOptions: { recordPath, lockFd: lock.fd, scope: options.guardianScope, main: guardianMain },
        close: () => {
          lock[Symbol.dispose]()
          hypervisor[Symbol.dispose]()
        },
      },
      options.signal,
    )
  } catch (error) {
    lock[Symbol.dispose]()
    throw error
  }
}

function refuseUnsuitable(hypervisor: Hypervisor, { domid, isDying, isTranslated, pagedFrames }: DomainInfo): void {
  const refuse = (expected: string, found: string): OfflineError =>
    new OfflineError('UNSUPPORTED', `expected ${expected}, found ${found} (domain ${domid})`)
  if (isDying) throw refuse('a domain that lives', 'one that is being destroyed')
  if (pagedFrames > 0) {
    throw refuse(
      'a domain that has all its memory',
      `${pagedFrames} frames paged out, which reading would bring back: stop xenpaged first`,
    )
  }
  if (isTranslated) return
  const bits = hypervisor.addressBits(domid)
  if (bits !== 64) throw refuse('a 64-bit PV guest', `one of ${bits} bits`)
}
