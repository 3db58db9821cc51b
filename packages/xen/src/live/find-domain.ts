import type { XenStore } from '@ullage/native'
import { OfflineError } from '@ullage/offline-query'
import { HVM_RAM_END, PVH_RAM_END } from '../toolstack-ram.ts'

/** DOMID_FIRST_RESERVED: numbers from here on are no domains (Xen xen/include/public/xen.h). */
const FIRST_RESERVED = 0x7ff0

/** The part of xenstore that is needed here. */
export type DomainNames = Pick<XenStore, 'list' | 'read'>

/**
 * The number of the domain that the toolstack calls `domain`, or `domain` itself when it is a number. Throws OfflineError:
 * GUEST_NOT_FOUND, or INVALID for the control domain and for a name that several have.
 */
export function findDomain(store: DomainNames, domain: string | number): number {
  const domid = typeof domain === 'number' ? domain : byName(store, domain)
  if (domid === 0) {
    throw new OfflineError('INVALID', 'expected a guest, found domain 0, the control domain: it cannot stop itself')
  }
  if (!Number.isInteger(domid) || domid < 0 || domid >= FIRST_RESERVED) {
    throw new OfflineError('INVALID', `expected the number of a domain, 1 to ${FIRST_RESERVED - 1}, found ${domid}`)
  }
  return domid
}

function byName(store: DomainNames, name: string): number {
  const names = store
    .list('/local/domain')
    .filter((id) => /^\d{1,5}$/.test(id))
    .map((id) => ({ domid: Number(id), name: domainName(store, Number(id)) }))
  const found = names.filter((domain) => domain.name === name)
  const [first] = found
  if (found.length === 1 && first) return first.domid
  if (found.length > 1) {
    throw new OfflineError(
      'INVALID',
      `expected one domain named ${name}, found ${found.map(({ domid }) => domid).join(', ')}: name it by its number`,
    )
  }
  const there = names.flatMap((domain) =>
    domain.domid !== 0 && domain.name ? [`${domain.name} (${domain.domid})`] : [],
  )
  throw new OfflineError(
    'GUEST_NOT_FOUND',
    `expected a domain named ${name} in xenstore, found ${there.length === 0 ? 'none' : there.slice(0, 20).join(', ')}`,
  )
}

/** What the toolstack calls the domain. */
export function domainName(store: DomainNames, domid: number): string | undefined {
  return store.read(`/local/domain/${domid}/name`)
}

/** How the toolstack laid out a domain's RAM. */
export interface ToldRam {
  /** Frames that the domain may have at most. */
  readonly frames: number
  /** Where RAM below 4 GiB ends at the latest. */
  readonly lowEnd: number
}

/** What the toolstack wrote down of the domain's RAM when it built it; undefined where it did not. */
export function toldRam(store: DomainNames, domid: number): ToldRam | undefined {
  const read = (what: string): number => {
    const text = store.read(`/local/domain/${domid}/memory/${what}`)
    return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : 0
  }
  // In KiB. Of the first the second is video memory, which is no RAM (Xen tools/libs/light/libxl_dom.c).
  const frames = Math.floor((read('static-max') - read('videoram')) / 4)
  const lowEnd = store.read(`/libxl/${domid}/type`) === 'pvh' ? PVH_RAM_END : HVM_RAM_END
  return frames > 0 ? { frames, lowEnd } : undefined
}
