import { framesWithFlag, type GuestTruth, KPF, type LabGuest, type MemoryView, openStoppedMemory } from '@ullage/lab'
import { endOf } from '@ullage/pages'
import { expect } from 'vitest'
import { type GuestClass, type LinuxGuest, openLinuxGuest } from '../src/index.ts'
import { classesOf, difference, framesOf } from './classes-of.ts'

/** What programs that read and sent page flags took and gave back meanwhile, in bytes at most. */
const DRIFT_BYTES = 8 << 20

/** Bits of /proc/kpageflags (Linux include/linux/kernel-page-flags.h). */
const KPF_LRU = 5
const KPF_PGTABLE = 26
const KPF_RESERVED = 32

/**
 * Stops a guest and holds every frame against what its kernel said of it a moment before, by the note and by a search.
 * Prints how many frames of each class agree.
 */
export async function expectAgreement(guest: LabGuest, truth: GuestTruth, pageBytes: number): Promise<void> {
  await guest.stop()
  using memory = await openStoppedMemory(guest)
  const linux = await openLinuxGuest(memory.view, { elfNotes: memory.elfNotes, expectVcpus: true })
  const vmcoreinfoFrom = Buffer.from(memory.elfNotes).includes('VMCOREINFO') ? 'note' : 'scan'
  expect(linux).toMatchObject({ kernel: truth.uname, pageBytes, offlineTold: true, vmcoreinfoFrom })
  expect(linux.warnings.filter(({ code }) => code !== 'VCPUS_IN_PROCESSES')).toEqual([])
  const view = pageBytes === memory.view.frameBytes ? memory.view : memory.view.inFramesOf(pageBytes)
  const classes = classesOf(linux, view.extents)
  expectClasses(classes, truth, DRIFT_BYTES / pageBytes)
  expectProtected(linux, view, truth)
  const searched = await openLinuxGuest(memory.view)
  expect(searched).toMatchObject({ vmcoreinfoFrom: 'scan', pageBytes })
  expect(classesOf(searched, view.extents)).toEqual(classes)
}

function expectClasses(classes: ReadonlyMap<number, GuestClass>, truth: GuestTruth, drift: number): void {
  const said = (bit: number): number[] => framesWithFlag(truth.kpageflags, bit).filter((pfn) => classes.has(pfn))
  const compared = (bit: number, name: GuestClass) => difference(said(bit), framesOf(classes, name))
  expect(said(KPF.offline).length).toBeGreaterThan(0)
  expect(compared(KPF.offline, 'offline')).toEqual({ missed: [], extra: [] })
  expect(compared(KPF.huge, 'user').missed).toEqual([])
  expect(framesOf(classes, 'unknown')).toEqual([])
  expect(framesOf(classes, 'noStructPage')).toEqual([])
  const free = compared(KPF.buddy, 'free')
  expect(free.missed.length + free.extra.length).toBeLessThan(drift)
  const ofKernel = [...said(KPF.slab), ...said(KPF_PGTABLE)]
  expect(difference(ofKernel, framesOf(classes, 'inUse')).missed.length).toBeLessThan(drift)
  // Memory of processes that ended since is no longer anybody's.
  const anon = new Set(said(KPF.anon))
  const cache = said(KPF_LRU).filter((pfn) => !anon.has(pfn))
  expect(
    difference(cache, [...framesOf(classes, 'cache'), ...framesOf(classes, 'cachePrivate')]).missed.length,
  ).toBeLessThan(drift)
  const notUser = framesOf(classes, 'user').filter((pfn) => !anon.has(pfn) && !said(KPF.huge).includes(pfn))
  expect(notUser.length).toBeLessThan(drift)
  const words = [KPF.offline, KPF.buddy, KPF.huge, KPF.anon, KPF.slab, KPF_LRU, KPF_PGTABLE].map(
    (bit) => said(bit).length,
  )
  const counts = [...Map.groupBy(classes.values(), (name) => name)].map(([name, list]) => `${name} ${list.length}`)
  process.stdout.write(
    `${truth.uname}: ${counts.sort().join(', ')}; said offline, buddy, huge, anon, slab, lru, pgtable: ${words.join(', ')}; ` +
      `free missed ${free.missed.length}, extra ${free.extra.length}\n`,
  )
}

/** What stays of the kernel's image is protected, but for its never touched end, and all that is can be read. */
function expectProtected(linux: LinuxGuest, view: MemoryView, truth: GuestTruth): void {
  const guarded = new Set<number>()
  for (const range of linux.protectedFrames()) {
    expect({ range, readable: view.isReadable(range) }).toEqual({ range, readable: true })
    for (let pfn = range.start; pfn < endOf(range); pfn++) guarded.add(pfn)
  }
  const reserved = new Set(framesWithFlag(truth.kpageflags, KPF_RESERVED))
  const image = [...truth.iomem.matchAll(/([0-9a-f]+)-([0-9a-f]+) : Kernel (?:code|data)/g)].flatMap(
    ([, first = '', last = '']) => {
      const start = Math.ceil(Number.parseInt(first, 16) / view.frameBytes)
      const end = Math.floor((Number.parseInt(last, 16) + 1) / view.frameBytes)
      return Array.from({ length: end - start }, (_, i) => start + i)
    },
  )
  const kept = image.filter((pfn) => reserved.has(pfn) && view.backed.has(pfn))
  expect(kept.length * view.frameBytes).toBeGreaterThan(16 << 20)
  expect(kept.filter((pfn) => !guarded.has(pfn))).toEqual([])
}
