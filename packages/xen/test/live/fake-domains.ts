import type { FakeDomain } from './fake-hypervisor.ts'
import { domainInfo, FakeHypervisor, fakeStore, pageOf } from './fake-hypervisor.ts'
import type { XenHost } from '../../src/live/open-domain.ts'

/** A scripted host, and what is true of its one domain. */
export interface FakeHost extends XenHost {
  readonly hypervisor: FakeHypervisor
  readonly domain: FakeDomain
  /** Guest frame → the hypervisor's number, of the frames with memory. */
  readonly backed: ReadonlyMap<number, number>
}

const names = (domid: number, memory: Record<string, string>) =>
  fakeStore({
    '/local/domain/0/name': 'Domain-0',
    [`/local/domain/${domid}/name`]: 'web-1',
    ...Object.fromEntries(
      Object.entries(memory).map(([key, value]) => [`/local/domain/${domid}/memory/${key}`, value]),
    ),
  })

/** A PVH domain of 4096 frames, ballooned in pieces, with ACPI tables and a grant table frame outside its RAM. */
export function pvhHost(change: Partial<FakeDomain> = {}): FakeHost {
  const pfns = [
    ...range(0, 700),
    ...range(1000, 1500),
    1600,
    ...range(4000, 4096),
    ...range(4159, 4160),
    ...range(0xfc000, 0xfc004),
  ]
  const frames = new Map(pfns.map((pfn) => [pfn, pageOf(pfn)]))
  const domain: FakeDomain = {
    info: domainInfo({ totalFrames: pfns.length, maxVcpu: 1 }),
    frames,
    maximumFrame: 0xfefff,
    contexts: [new Uint8Array(0x1430), undefined],
    ...change,
  }
  const hypervisor = new FakeHypervisor(domain)
  const store = names(7, { 'static-max': String(4096 * 4), videoram: '0' })
  return { hypervisor, store, domain, backed: new Map(pfns.map((pfn) => [pfn, pfn])) }
}

const PV_FRAMES = 3000
/** Machine frames of the domain's tables. */
const SHARED_INFO = 90_000
const TABLES = 90_001

/** A PV domain of 3000 frames whose p2m is reached through page tables, or through frame lists. */
export function pvHost(
  way: 'linear' | 'lists' = 'linear',
  change: { p2m?: (entries: BigUint64Array) => void } = {},
): FakeHost {
  const pfns = [...range(0, 600), ...range(1100, 1700), 1800, ...range(2900, 3000)]
  // Backwards in pieces, so that neither order nor distance says anything.
  const backed = new Map(pfns.map((pfn) => [pfn, 50_000 + (pfn ^ 5)]))
  const frames = new Map([...backed].map(([pfn, frame]) => [frame, pageOf(pfn)]))
  const p2m = new BigUint64Array(512 * Math.ceil(PV_FRAMES / 512)).fill(0xffff_ffff_ffff_ffffn)
  for (const [pfn, frame] of backed) p2m[pfn] = BigInt(frame)
  // One frame of a grant, one of a device.
  p2m[700] = (1n << 63n) | 0x123n
  p2m[701] = (1n << 62n) | 701n
  change.p2m?.(p2m)
  const leaves = p2m.length / 512
  const leaf = (i: number): number => TABLES + 10 + i
  for (let i = 0; i < leaves; i++) frames.set(leaf(i), new Uint8Array(p2m.slice(i * 512, (i + 1) * 512).buffer))
  const shared = new DataView(new ArrayBuffer(4096))
  shared.setBigUint64(0xc10, BigInt(PV_FRAMES), true)
  const address = 0xffff_c900_0000_0000n
  if (way === 'linear') {
    const table = (frame: number, index: number, entries: readonly number[]): void => {
      const view = new DataView(new ArrayBuffer(4096))
      entries.forEach((entry, i) => view.setBigUint64((index + i) * 8, (BigInt(entry) << 12n) | 0x67n, true))
      frames.set(frame, new Uint8Array(view.buffer))
    }
    table(TABLES, Number((address >> 39n) & 511n), [TABLES + 1])
    table(TABLES + 1, Number((address >> 30n) & 511n), [TABLES + 2])
    table(TABLES + 2, Number((address >> 21n) & 511n), [TABLES + 3])
    table(
      TABLES + 3,
      0,
      Array.from({ length: leaves }, (_, i) => leaf(i)),
    )
    shared.setBigUint64(0xc28, BigInt(TABLES) << 12n, true)
    shared.setBigUint64(0xc30, address, true)
  } else {
    const list = (frame: number, entries: readonly number[]): void => {
      frames.set(frame, new Uint8Array(BigUint64Array.from({ length: 512 }, (_, i) => BigInt(entries[i] ?? 0)).buffer))
    }
    list(TABLES, [TABLES + 1])
    list(
      TABLES + 1,
      Array.from({ length: leaves }, (_, i) => leaf(i)),
    )
    shared.setBigUint64(0xc18, BigInt(TABLES), true)
  }
  frames.set(SHARED_INFO, new Uint8Array(shared.buffer))
  const info = domainInfo({ isTranslated: false, totalFrames: frames.size, sharedInfoFrame: SHARED_INFO })
  const domain: FakeDomain = { info, frames, contexts: [new Uint8Array(0x1430)] }
  return { hypervisor: new FakeHypervisor(domain), store: names(7, { 'static-max': '12000' }), domain, backed }
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i)
}
