import type { Architecture } from './architecture.ts'
import { arm64 } from './arm64.ts'
import { ClassRuns } from './class-runs.ts'
import { GUEST_CLASS } from './guest-class.ts'
import type { GuestFrames } from './guest-frames.ts'
import { FLAG_BITS, flagsOf } from './image-marks.ts'
import { KernelMemory } from './kernel-memory.ts'
import { MemorySections } from './memory-sections.ts'
import { PageWalker } from './page-walker.ts'
import { Refusal } from './refusal.ts'
import { type StructPage, structPage } from './struct-page.ts'
import { StructPageReader } from './struct-page-reader.ts'
import { readUtsName, type UtsName } from './uts-name.ts'
import { required, type Vmcoreinfo } from './vmcoreinfo.ts'
import { x86_64 } from './x86-64.ts'

/** Frames from `_stext` on whose struct pages are looked at: every kernel has some MiB of text. */
const TEXT_FRAMES = 64
/** Of them, those that may be poisoned. */
const MAX_OTHER_FRAMES = 8

/** A kernel that one VMCOREINFO describes and that guest memory bears out. */
export interface Kernel {
  readonly info: Vmcoreinfo
  readonly architecture: Architecture
  readonly memory: KernelMemory
  readonly sections: MemorySections
  readonly page: StructPage
  readonly structPages: StructPageReader
  readonly uts: UtsName
  /** Address and frame of `_stext`. */
  readonly text: bigint
  readonly textPfn: number
}

/** What a VMCOREINFO says before guest memory is asked. */
export interface KernelClaim {
  /** Guest memory in frames of the kernel's page size. */
  readonly frames: GuestFrames
  readonly info: Vmcoreinfo
  readonly architecture: Architecture
  readonly text: bigint
  readonly textPfn: number
}

/** Reads what a kernel cannot be found without. Throws Refusal when a line is missing or out of place. Reads no memory. */
export function kernelClaim(guest: GuestFrames, info: Vmcoreinfo): KernelClaim {
  const pageBytes = required(info.pageBytes, 'PAGESIZE')
  const architecture = openArchitecture(guest, info)
  const frames = guest.inFramesOf(pageBytes)
  if (frames === undefined) {
    throw new Refusal(`its pages have ${pageBytes} bytes, the guest's frames ${guest.frameBytes}`)
  }
  if (!frames.isRam(architecture.rootPfn)) {
    throw new Refusal(`its root page table would be frame ${architecture.rootPfn}, which is not guest RAM`)
  }
  const text = required(info.symbol('_stext'), 'SYMBOL(_stext)')
  const textPfn = Number(architecture.imageToPhysical(text) >> BigInt(frames.frameShift))
  required(info.symbol('init_uts_ns'), 'SYMBOL(init_uts_ns)')
  required(info.symbol('mem_section'), 'SYMBOL(mem_section)')
  return { frames, info, architecture, text, textPfn }
}

/** The kernel's address space, when `_stext` lies where both the page tables and `phys_base` say. Else throws Refusal. */
export function kernelMemory({ frames, architecture, text, textPfn }: KernelClaim): KernelMemory {
  const { paging, rootPfn } = architecture
  const memory = new KernelMemory(frames, new PageWalker(frames, paging, rootPfn))
  const outcome = memory.walker.walk(text)
  const walked = outcome === 'mapped' ? memory.toPfn(text) : undefined
  if (walked !== textPfn) {
    throw new Refusal(
      `_stext at 0x${text.toString(16)} should be in frame ${textPfn}; by its ${paging.name} page tables it is ` +
        (walked === undefined ? (outcome === 'mapped' ? 'outside guest RAM' : outcome) : `in frame ${walked}`),
    )
  }
  return memory
}

/**
 * Holds the rest of a VMCOREINFO against guest memory: `init_uts_ns` must name the same release, `mem_section` must lead
 * to struct pages, and those of the kernel's text must be in use. Throws Refusal when one does not.
 */
export function openKernel({ info, architecture, text, textPfn }: KernelClaim, memory: KernelMemory): Kernel {
  const uts = readUtsName(memory, info)
  if (uts.release !== info.osrelease) {
    const found = JSON.stringify(uts.release.replace(/[^\x20-\x7e]/g, '?'))
    throw new Refusal(`init_uts_ns names release ${found}, OSRELEASE is ${JSON.stringify(info.osrelease)}`)
  }
  const page = structPage(info)
  const sections = MemorySections.open(memory, info, {
    structPageBytes: page.bytes,
    defaults: architecture.sparseDefaults,
  })
  const structPages = new StructPageReader(memory, sections, page)
  const kernel = { info, architecture, memory, sections, page, structPages, uts, text, textPfn }
  refuseUnlessTextIsInUse(kernel)
  return kernel
}

/**
 * The kernel's text is in use as long as it runs, and its frames have the mark in common that they were set aside at boot.
 * Struct pages that say otherwise are read with sizes or offsets of another kernel: they would say as much of frames that are
 * in use elsewhere. Some may be poisoned; those that cannot be read say nothing.
 */
function refuseUnlessTextIsInUse(kernel: Kernel): void {
  const classes = new ClassRuns()
  const text = { start: kernel.textPfn, count: TEXT_FRAMES }
  kernel.structPages.classify(text, classes)
  let common = FLAG_BITS
  let others = 0
  for (const { start, count, code } of classes.of(text)) {
    if (code !== GUEST_CLASS.inUse && code !== GUEST_CLASS.unknown) others += count
    if (code !== GUEST_CLASS.inUse) continue
    for (let pfn = start; pfn < start + count; pfn++) common &= flagsOf(kernel, pfn) ?? FLAG_BITS
  }
  if (others <= MAX_OTHER_FRAMES && common !== 0) return
  const found = others > MAX_OTHER_FRAMES ? `${others} of them are not in use` : 'they have no flag in common'
  throw new Refusal(
    `the first ${TEXT_FRAMES} frames of kernel text should be in use and set aside; by their struct pages ${found}: SIZE(page) or an offset is another kernel's`,
  )
}

function openArchitecture({ view }: GuestFrames, info: Vmcoreinfo): Architecture {
  switch (view.machine) {
    case 'x86_64':
      return x86_64(info)
    case 'aarch64':
      return arm64(info)
  }
}
