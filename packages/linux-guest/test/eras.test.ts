import { rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  bootGuest,
  framesWithFlag,
  type GuestOptions,
  KPF,
  type LabGuest,
  type MemoryView,
  makedumpfile,
  openStoppedMemory,
} from '@ullage/lab'
import { encodeElfNote, readElfNotes } from '@ullage/layout'
import { countFrames, endOf } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { type GuestClass, guestClasses, openLinuxGuest } from '../src/index.ts'
import { classesOf, difference, framesOf } from './classes-of.ts'
import { writeCoreFile } from './core-file.ts'
import { keptFrames } from './kept-frames.ts'

/**
 * A guest reads its own page flags and is stopped a moment later. The programs that read and sent them take frames and
 * give them back: a free frame may differ for that reason, this many at most (8 MiB, seen on a busy
 * host: the newest kernel keeps much on its per-CPU lists). Offline frames never may.
 */
const DRIFT_FRAMES = 2048

/** Bits of /proc/kpageflags (Linux include/linux/kernel-page-flags.h). */
const KPF_RESERVED = 32
const KPF_COMPOUND_HEAD = 15
const KPF_COMPOUND_TAIL = 16

const LEFT_OUT: readonly GuestClass[] = ['free', 'user', 'cache', 'cachePrivate', 'offline', 'hwpoison', 'unaccepted']

/** Frames of the kernel image by /proc/iomem. */
function imageFrames(iomem: string): number[] {
  const lines = iomem.matchAll(/([0-9a-f]+)-([0-9a-f]+) : Kernel (?:code|rodata|data|bss)/g)
  return [...lines].flatMap(([, first = '', last = '']) => {
    const start = Number.parseInt(first, 16) / 4096
    const end = (Number.parseInt(last, 16) + 1) / 4096
    return Array.from({ length: Math.floor(end) - Math.ceil(start) }, (_, i) => Math.ceil(start) + i)
  })
}

interface Case {
  readonly what: string
  readonly options: GuestOptions
  /** MiB the balloon gives back after it was inflated. */
  readonly deflateMiB?: number
  /** Offline frames there must be, at least. */
  readonly offline: number
  /** Frames in hugetlb pages there must be, at least. */
  readonly huge?: number
  /** Free frames that the guest's kernel is told to be broken. */
  readonly poisoned?: number
}

const cases: readonly Case[] = [
  {
    what: 'q35, five-level capable processor',
    options: { era: 'bullseye', memMiB: 192, balloonMiB: 64 },
    offline: 16_384,
  },
  {
    what: 'i440fx, four-level processor, no VMCOREINFO device, balloon half deflated',
    options: { era: 'bookworm', memMiB: 256, balloonMiB: 96, machine: 'pc', cpu: 'qemu64', vmcoreinfo: false },
    deflateMiB: 48,
    offline: 12_288,
  },
  {
    what: 'RAM split below and above 4 GiB, free page reporting',
    options: { era: 'trixie', memMiB: 320, balloonMiB: 64, maxRamBelow4gMiB: 128, freePageReporting: true },
    offline: 16_384,
    poisoned: 3,
  },
  {
    what: 'half-plugged virtio-mem block, memfd',
    options: {
      era: 'sid',
      memMiB: 256,
      balloonMiB: 64,
      memory: 'memfd',
      virtioMem: { sizeMiB: 512, requestedMiB: 192 },
    },
    // The balloon's frames and the unplugged half of a block.
    offline: 16_384 + 16_384,
    poisoned: 3,
  },
  {
    what: 'a huge page of eight sections, struct pages of huge pages shared',
    options: {
      era: 'sid',
      memMiB: 2304,
      balloonMiB: 64,
      append: 'hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=20 hugetlb_free_vmemmap=on',
    },
    offline: 16_384,
    huge: 262_144,
  },
]

describe.each(cases)('$options.era: $what', ({ options, deflateMiB, offline, poisoned = 0, huge = 512 }) => {
  test('the classes are the kernel’s own', async () => {
    await using guest = await bootGuest(options)
    if (deflateMiB !== undefined) {
      await guest.balloon((options.memMiB ?? 0) - (options.balloonMiB ?? 0) + deflateMiB)
    }
    if (poisoned > 0) await poison(guest, poisoned)
    const truth = await guest.truth()
    await guest.stop()
    using memory = await openStoppedMemory(guest)
    const linux = await openLinuxGuest(memory.view, { elfNotes: memory.elfNotes })
    expect(linux).toMatchObject({
      kernel: truth.uname.trim(),
      vmcoreinfoFrom: options.vmcoreinfo === false ? 'scan' : 'note',
      offlineTold: true,
      warnings: [],
    })
    const classes = classesOf(linux, memory.view.extents)
    expect(classes.size).toBe(countFrames(memory.view.extents))
    const said = (bit: number): number[] => framesWithFlag(truth.kpageflags, bit).filter((pfn) => classes.has(pfn))
    printAgreement(`${linux.kernel} (${options.era})`, classes, truth.kpageflags)

    expect(said(KPF.offline).length).toBeGreaterThanOrEqual(offline)
    expect(difference(said(KPF.offline), framesOf(classes, 'offline'))).toEqual({ missed: [], extra: [] })
    expect(said(KPF.hwpoison)).toHaveLength(poisoned)
    expect(difference(said(KPF.hwpoison), framesOf(classes, 'hwpoison'))).toEqual({ missed: [], extra: [] })
    const nopage = [...said(KPF.nopage), ...[...classes.keys()].filter((pfn) => pfn >= truth.kpageflags.length)]
    expect(difference(nopage, framesOf(classes, 'noStructPage'))).toEqual({ missed: [], extra: [] })
    const free = difference(said(KPF.buddy), framesOf(classes, 'free'))
    expect(free.missed.length + free.extra.length).toBeLessThan(DRIFT_FRAMES)
    expect(framesOf(classes, 'free').length).toBeGreaterThan(5_000)
    expect(said(KPF.huge).length).toBeGreaterThanOrEqual(huge)
    expect(difference(said(KPF.huge), framesOf(classes, 'user')).missed).toEqual([])
    expect(framesOf(classes, 'unknown')).toEqual([])

    const guarded = new Set<number>()
    for (const range of linux.protectedFrames()) {
      expect({ range, readable: memory.view.isReadable(range) }).toEqual({ range, readable: true })
      for (let pfn = range.start; pfn < endOf(range); pfn++) guarded.add(pfn)
    }
    // What makedumpfile leaves out is not held back by having been part of the image; what is part of it still is kept.
    const leftOut = LEFT_OUT.flatMap((name) => framesOf(classes, name)).filter((pfn) => guarded.has(pfn))
    expect(leftOut).toEqual([])
    // makedumpfile needs VMCOREINFO in the notes.
    const vmcoreinfo = encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode(linux.vmcoreinfo.text))
    const notes = linux.vmcoreinfoFrom === 'note' ? memory.elfNotes : Buffer.concat([memory.elfNotes, vmcoreinfo])
    const core = join(guest.folder, 'ram.core')
    const otherwise = await leftOutOtherwise(core, memory.view, notes, { classes, guarded })
    expect(otherwise.filter((pfn) => guarded.has(pfn))).toEqual([])
    if (linux.vmcoreinfo.offset('page.compound_info') === undefined) expect(otherwise).toEqual([])
    else {
      // makedumpfile 1.7.8 takes tails of these kernels for pages of their own: it loses tails of slabs, and stores huge pages.
      const compound = new Set([...said(KPF_COMPOUND_HEAD), ...said(KPF_COMPOUND_TAIL)])
      expect(otherwise.filter((pfn) => !compound.has(pfn)).length).toBeLessThan(64)
    }
    const reserved = new Set(said(KPF_RESERVED))
    const image = imageFrames(truth.iomem).filter((pfn) => reserved.has(pfn))
    expect(image.length).toBeGreaterThan(5_000)
    expect(image.filter((pfn) => !guarded.has(pfn))).toEqual([])
    // Without VMCOREINFO in the notes the page tables of a vCPU lead to it. Of offline frames only those are
    // tried on the way that stand between the end of the image and that of the large page it ends in.
    const read = new Set<number>()
    const watched: MemoryView = {
      ...memory.view,
      tryRead: (range, into) => {
        for (let pfn = range.start; pfn < endOf(range); pfn++) read.add(pfn)
        return memory.view.tryRead(range, into)
      },
    }
    const pointed = await openLinuxGuest(watched, { elfNotes: vcpuNotes(memory.elfNotes), search: false })
    expect(pointed).toMatchObject({ vmcoreinfoFrom: 'scan', kernel: linux.kernel, warnings: [] })
    expect(classesOf(pointed, memory.view.extents)).toEqual(classes)
    const afterData = Number.parseInt(/-([0-9a-f]+) : Kernel data/.exec(truth.iomem)?.[1] ?? '', 16) / 4096
    const touched = framesOf(classes, 'offline').filter((pfn) => read.has(pfn))
    expect(touched.filter((pfn) => pfn < afterData)).toEqual([])
    expect(touched.length).toBeLessThan(1024)
    // Memory is searched when the notes are withheld, and the same is found.
    if (linux.vmcoreinfoFrom === 'note') {
      const searched = await openLinuxGuest(memory.view)
      expect(searched.vmcoreinfoFrom).toBe('scan')
      expect(classesOf(searched, memory.view.extents)).toEqual(classes)
    }
  })
})

/** The notes without VMCOREINFO. */
function vcpuNotes(elfNotes: Uint8Array): Uint8Array {
  const kept = [...readElfNotes(elfNotes)].filter(({ name }) => name !== 'VMCOREINFO')
  return Buffer.concat(kept.map(({ name, type, desc }) => encodeElfNote(name, type, desc)))
}

/** Frames that makedumpfile stores at level 30 (all but zero pages) and a dump of these classes would not, or the reverse. */
async function leftOutOtherwise(
  core: string,
  view: MemoryView,
  notes: Uint8Array,
  ours: { readonly classes: ReadonlyMap<number, GuestClass>; readonly guarded: ReadonlySet<number> },
): Promise<number[]> {
  writeCoreFile(core, view, notes)
  try {
    const { stderr, status } = await makedumpfile(['-l', '-d', '30', core, `${core}.dump`], { version: 'newest' })
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
    const isKept = keptFrames(`${core}.dump`)
    return [...ours.classes].flatMap(([pfn, name]) => {
      // Without a struct page there is nothing makedumpfile leaves a frame out for.
      if (name === 'noStructPage') return []
      const kept = !LEFT_OUT.includes(name) || ours.guarded.has(pfn)
      return kept === isKept(pfn) ? [] : [pfn]
    })
  } finally {
    for (const path of [core, `${core}.dump`]) rmSync(path, { force: true })
  }
}

/** Has the guest's kernel take frames from the middle of free blocks for broken (memory_failure). */
async function poison(guest: LabGuest, count: number): Promise<void> {
  const { kpageflags } = await guest.truth()
  const free = framesWithFlag(kpageflags, KPF.buddy).filter((pfn) => pfn % 1024 === 517)
  const frames = free.slice(-count)
  const script = frames.map(
    (pfn) => `echo 0x${(pfn * 4096).toString(16)} > /sys/devices/system/memory/hard_offline_page`,
  )
  await guest.exec(script.join(' && '))
}

/** One line for each class: how many frames have it, and what the kernel says of them. */
function printAgreement(title: string, classes: ReadonlyMap<number, GuestClass>, kpageflags: BigUint64Array): void {
  const bits = { offline: KPF.offline, nopage: KPF.nopage, buddy: KPF.buddy, huge: KPF.huge, anon: KPF.anon }
  const table = new Map<string, Record<string, number>>(guestClasses.map((name) => [name, { frames: 0 }]))
  for (const [pfn, name] of classes) {
    const row = table.get(name) as Record<string, number>
    row['frames'] = (row['frames'] ?? 0) + 1
    const flags = kpageflags[pfn] ?? 1n << BigInt(KPF.nopage)
    for (const [key, bit] of Object.entries(bits)) {
      if ((flags >> BigInt(bit)) & 1n) row[`said ${key}`] = (row[`said ${key}`] ?? 0) + 1
    }
  }
  const lines = [...table].map(([name, { frames = 0, ...rest }]) => {
    const words = Object.entries(rest).map(([key, count]) => `${key} ${count}`)
    return `  ${name.padEnd(13)}${String(frames).padStart(8)}  ${words.join(', ')}`
  })
  process.stdout.write(`${title}\n${lines.join('\n')}\n`)
}
