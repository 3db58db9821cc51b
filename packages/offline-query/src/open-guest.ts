import type { PfnRange } from '@ullage/pages'
import type { OfflineQuery } from './offline-query.ts'

/** One maximal run of guest RAM frames, named as the hypervisor names its memory (`ram0`, `pc.ram`, `vmem0`). */
export interface RamExtent extends PfnRange {
  readonly name: string
}

/**
 * A part of the guest's physical address space that is listed, not dumped: video RAM, firmware, devices. Inside guest RAM:
 * frames that the source never looked at, or where a machine has no RAM. Those without memory are not missing.
 */
export interface NotDumped {
  readonly name: string
  /** Guest physical address, in bytes. */
  readonly startBytes: number
  readonly sizeBytes: number
}

/** Bytes of a file that this process has open, in which bytes of guest RAM lie. */
export interface FilePiece {
  /** Open for reading, for as long as the guest is. */
  readonly fd: number
  readonly offsetBytes: number
  readonly sizeBytes: number
}

/** Guest RAM, as the host reads it. */
export interface GuestMemory {
  /** Bytes in one frame, a power of two: 4096 but for arm64 guests of other page sizes. */
  readonly frameBytes: number
  /** Guest RAM: ascending and disjoint. Extents with different names may touch. */
  readonly extents: readonly RamExtent[]
  readonly notDumped: readonly NotDumped[]
  /**
   * Fills all of `into` (range.count * frameBytes bytes) with the content of `range`, or throws OfflineError naming the
   * first frame it could not read. Never a short read. `range` lies inside guest RAM (else RangeError). It must not
   * include frames that the host calls `unbacked`: a backend may refuse them.
   *
   * Synchronous, because what is behind it is (pread, a hypercall): a dump runs in a process of its own.
   */
  read(range: PfnRange, into: Uint8Array): void
  /**
   * Where the content of `range` lies in files, in its order, when pread(2) of them is all that `read` would do: several
   * threads can then read at once. Undefined where `read` does more than that. `range` is such as `read` takes.
   */
  filePieces?(range: PfnRange): readonly FilePiece[] | undefined
}

/** From the frame numbers in the guest's page tables to the frame numbers of its RAM: identity but for Xen PV. */
export interface AddressSpace {
  /** The pfn of `gfn`, or undefined when no frame of guest RAM has that number. */
  toPfn(gfn: number): number | undefined
  /**
   * True for a Xen PV guest, whose page tables the hypervisor checks: they hold machine frames, or did before a save image
   * put pfns in their place (`toPfn` is then the identity).
   */
  readonly paravirtualised?: boolean
}

export const identityAddressSpace: AddressSpace = { toPfn: (gfn) => gfn }

/** ELF notes of one guest: CPU state, and VMCOREINFO where the hypervisor has it. */
export interface GuestNotes {
  /** Concatenated ELF notes (Elf64_Nhdr, names and descriptions padded to 4 bytes); empty when there are none. */
  readonly elfNotes: Uint8Array
  /** Number of virtual CPUs that the notes describe. */
  readonly cpus: number
  /** For how many milliseconds a running guest was stopped for them, where it had to be. */
  readonly stoodMs?: number
}

/** Host memory behind one guest's RAM, in bytes. */
export interface HostMemory {
  /** Memory the host has given the guest, resident or swapped. */
  readonly backedBytes: number
  /** What of it is resident now; equals `backedBytes` where the backend cannot tell. */
  readonly residentBytes: number
}

/** Counts that Xen keeps of memory it has promised a guest and not given yet (Xen XENMEM_get_pod_target), in frames. */
export interface PopulateOnDemand {
  /** Frames that the guest is to have in the end. */
  readonly targetFrames: number
  /** Frames set aside for the guest and not in use yet. */
  readonly cacheFrames: number
  /** Frames of the guest that have no memory and get some when touched: 0 when nothing is outstanding. */
  readonly entries: number
}

/** What the hypervisor itself counts of a guest, and what it was asked. */
export interface HypervisorFigures {
  /** Hypercalls made so far through this opened guest, those that find out these figures included or not. */
  readonly questions: number
  /** Frames that the hypervisor has given the guest, whatever they are used for (Xen tot_pages). */
  readonly totalFrames?: number
  readonly populateOnDemand?: PopulateOnDemand
}

/** What is known of devices that take memory from a guest and give it back. Ranges are ascending and disjoint, in frames. */
export interface MemoryDevices {
  /**
   * Frames that are ballooned out, in ranges that the host can give back one by one (Dynamic Memory). Undefined where the
   * host keeps no ranges, or does not know all of them.
   */
  readonly ballooned?: readonly PfnRange[]
  /** Memory that is plugged in pieces (virtio-mem): what has no memory there must not be touched. */
  readonly pluggable: readonly PfnRange[]
}

/** How the guest stood while the lease was held. */
export type LeaseMode = 'paused' | 'stopped' | 'file'

/**
 * Holds a guest's vCPUs stopped.
 * `paused`: this lease stopped them. `stopped`: they were stopped before and stay so. `file`: there are none.
 */
export interface PauseLease extends AsyncDisposable {
  readonly mode: LeaseMode
  /** Resumes the guest when the lease stopped it. Idempotent. Returns the milliseconds it was held stopped by us. */
  resume(): Promise<number>
}

export interface PauseOptions {
  readonly signal?: AbortSignal
  /** What its caller does while the guest still runs, to need it the shorter. */
  readonly beforeStop?: () => Promise<void>
}

export interface GuestIdentity {
  /** Backend name, as in a guest descriptor: `virtio-balloon`, `xen`, `hyperv`. */
  readonly backend: string
  /** ELF machine of the guest. */
  readonly machine: 'x86_64' | 'aarch64'
  /** `live` when there is a running hypervisor behind it, `file` when there are only files. */
  readonly kind: 'live' | 'file'
}

/** One guest, opened. Disposing it resumes the guest if we paused it, and closes everything. Idempotent. */
export interface OpenGuest extends AsyncDisposable {
  readonly identity: GuestIdentity
  /** Guest RAM as it was when the guest was opened or, once `pause` has returned, when it was paused. */
  readonly memory: GuestMemory
  readonly addressSpace: AddressSpace
  readonly backing: OfflineQuery
  /** What a person should know about how this guest is read: each one sentence with a code. */
  readonly warnings: readonly { readonly code: string; readonly text: string }[]
  notes(options?: { signal?: AbortSignal }): Promise<GuestNotes>
  /**
   * Stops the vCPUs and reads the layout of guest RAM again. The lease resumes them when disposed, and also when this
   * process dies. A guest that was stopped already stays stopped. `beforeStop` is called while the pause is prepared, and
   * vCPUs are stopped once it has resolved; where it rejects they are not, and what it throws comes through. It is not called
   * where there is nothing to stop. Throws OfflineError.
   */
  pause(options?: PauseOptions): Promise<PauseLease>
  /** Asks the host for figures only: allocates nothing in the guest's memory. */
  hostMemory(): Promise<HostMemory>
  /** What balloons and memory devices have done with frames, at this moment. Absent where nothing is known of them. */
  memoryDevices?(options?: { signal?: AbortSignal }): Promise<MemoryDevices>
  /** Asks the hypervisor for its own counts; changes nothing. Absent where there is no hypervisor to ask. */
  hypervisor?(options?: { signal?: AbortSignal }): Promise<HypervisorFigures>
}
