import { cutRange, endOf, type PfnRange } from '@ullage/pages'
import { ClassRuns } from './class-runs.ts'
import { countIdle } from './count-idle.ts'
import { findKernel, type Warning } from './find-kernel.ts'
import { GuestFrames } from './guest-frames.ts'
import type { GuestView } from './guest-view.ts'
import { reservedMark } from './image-marks.ts'
import { type KexecState, readKexecState } from './kexec/kexec-state.ts'
import { vmcoreinfoPlace } from './pointed-vmcoreinfo.ts'
import { findProtectedFrames } from './protected-frames.ts'
import { Refusal } from './refusal.ts'
import type { UtsName } from './uts-name.ts'
import type { Vmcoreinfo } from './vmcoreinfo.ts'

/** Windows, one after the other, for which page tables and `mem_section` are read once: 8 GiB in windows of a section. */
const FRESH_WINDOWS = 64

/** A Linux guest, as its own kernel describes it. Holds no memory that grows with the guest's. */
export interface LinuxGuest {
  readonly vmcoreinfo: Vmcoreinfo
  readonly vmcoreinfoFrom: 'note' | 'scan'
  /** Frame of the VMCOREINFO page, where its place is known. */
  readonly vmcoreinfoPfn: number | undefined
  /** OSRELEASE, such as `uname -r` prints it. */
  readonly kernel: string
  readonly uts: UtsName
  /**
   * Bytes in one of the guest's pages. Frame numbers here count frames of this size, which may be larger than that of the
   * view that the guest was opened with (arm64).
   */
  readonly pageBytes: number
  /** What a vmcore's header calls `phys_base`: x86-64 the kernel's own, negative in many KASLR guests; arm64 PHYS_OFFSET. */
  readonly physBase: bigint
  /** Frame of the kernel's root page table. */
  readonly rootPfn: number
  /** Frames in one memory section: windows of `classify` that start and end at multiples of it cost the least. */
  readonly sectionFrames: number
  /** False where the kernel exports no value that marks offline pages: they are then `inUse`. */
  readonly offlineTold: boolean
  readonly warnings: readonly Warning[]
  /**
   * Writes the class code of frame `window.start + i` into `into[i]`. Reads nothing but page tables, `mem_section` and
   * struct pages, and reads struct pages anew at every call; what leads to them is read again unless `window` begins where
   * the last one ended, and after 64 windows. Throws RangeError when `into` is too small, and what the view's `tryRead`
   * throws.
   */
  classify(window: PfnRange, into: Uint8Array): void
  /** The same as runs of frames of one class. */
  classRuns(window: PfnRange, into: ClassRuns): void
  /**
   * Number of frames of `range` that are in use by class, and nobody holds: they wait on a list of the kernel's, or were set
   * aside at boot and never given to anybody (the crashkernel= area). Of protected frames only the former. May use what was
   * read of struct pages since memory was last read anew, up to 64 windows ago, so that asking frame by frame costs little.
   */
  countIdle(range: PfnRange): number
  /**
   * Frames no level may leave out: kernel image without its freed parts, page tables of the kernel's half, mem_section,
   * frames that hold struct pages, the VMCOREINFO page where its place is known. Ascending, disjoint, in guest RAM.
   * Found when the guest is opened.
   */
  protectedFrames(): readonly PfnRange[]
  /**
   * Kernels that the guest has loaded to jump into (kexec), read anew at every call; or why that cannot be known: its
   * symbols cannot be decoded (before Linux 6.0), or it does not carry its own types. A refusal is a clause without a subject's
   * name, as in `its kallsyms …`.
   */
  kexec(): KexecState | { readonly refused: string }
}

export interface OpenLinuxGuestOptions {
  /** Concatenated ELF notes of the guest: VMCOREINFO, and the vCPUs' registers. */
  readonly elfNotes?: Uint8Array
  /** A VMCOREINFO text from elsewhere; tried first. */
  readonly vmcoreinfo?: string
  /** Where the VMCOREINFO page stood a moment ago, in frames of the guest's pages: it is looked at there first. */
  readonly likelyVmcoreinfoPfn?: number | undefined
  /**
   * True for a live guest whose vCPUs are paused: `elfNotes` should then hold their state, and a kernel is refused when
   * no page tables of a vCPU confirm it, even where no note of a vCPU is there. QEMU writes notes that cannot be used of
   * a vCPU outside long mode, as in a guest that is rebooting. Without it, a kernel is taken unconfirmed where the notes
   * hold no vCPU, as for memory in files.
   */
  readonly expectVcpus?: boolean
  /**
   * False where guest memory may not be searched frame by frame: VMCOREINFO is then taken from the notes, or from where the
   * image of a kernel that a vCPU runs points to. True when left out.
   */
  readonly search?: boolean
  readonly signal?: AbortSignal
}

/**
 * Finds and checks what the guest's kernel says of itself. Without a note that guest memory bears out, the kernel's image
 * is asked where a vCPU's page tables lead to it, then all of guest RAM that can be read is searched. Throws
 * LinuxGuestError, what the view's `tryRead` throws, and the signal's reason.
 */
export async function openLinuxGuest(view: GuestView, options: OpenLinuxGuestOptions = {}): Promise<LinuxGuest> {
  options.signal?.throwIfAborted()
  const frames = new GuestFrames(view)
  const { kernel, from, vmcoreinfoPfn, warnings } = await findKernel(frames, options)
  const { info, memory, page, sections, structPages, architecture, uts } = kernel
  const place = vmcoreinfoPfn ?? vmcoreinfoPlace(kernel, options.likelyVmcoreinfoPfn)
  const guarded = findProtectedFrames(kernel, place)
  const reserved = reservedMark(kernel) ?? 0
  const incomplete = {
    code: 'PAGE_TABLES_INCOMPLETE',
    text: 'the guest has more page tables than a kernel needs for its memory: not all of them are protected',
  }
  const runs = new ClassRuns()
  let expected = -1
  let windows = 0
  const classRuns = (window: PfnRange, into: ClassRuns): void => {
    windows = window.start === expected ? (windows + 1) % FRESH_WINDOWS : 0
    if (windows === 0) memory.forget()
    expected = endOf(window)
    structPages.classify(window, into)
  }
  return {
    vmcoreinfo: info,
    vmcoreinfoFrom: from,
    vmcoreinfoPfn: place,
    kernel: info.osrelease,
    uts,
    pageBytes: memory.frames.frameBytes,
    physBase: architecture.physBase,
    rootPfn: architecture.rootPfn,
    sectionFrames: sections.sectionFrames,
    offlineTold: page.offline.told,
    warnings: guarded.complete ? warnings : [...warnings, incomplete],
    classify: (window, into) => {
      if (into.length < window.count) {
        throw new RangeError(`${window.count} frames need as many bytes, there are ${into.length}`)
      }
      classRuns(window, runs)
      runs.writeTo(into)
    },
    classRuns,
    countIdle: (range) => {
      let idle = 0
      for (const piece of cutRange(range, guarded.ranges)) {
        idle += countIdle(kernel, piece, piece.inside ? 0 : reserved)
      }
      return idle
    },
    protectedFrames: () => guarded.ranges,
    kexec: () => {
      memory.forget()
      try {
        return readKexecState(kernel)
      } catch (error) {
        if (error instanceof Refusal) return { refused: error.message }
        throw error
      }
    },
  }
}
