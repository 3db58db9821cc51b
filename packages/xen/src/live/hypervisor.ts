import type { PopulateOnDemand } from '@ullage/offline-query'

/** What the hypervisor says of a domain. */
export interface DomainInfo {
  readonly domid: number
  /** The UUID that the toolstack gave it, 32 hex digits: tells it from a later domain with the same number. */
  readonly handle: string
  /** True for HVM and PVH, whose frame numbers are translated by Xen; false for PV. */
  readonly isTranslated: boolean
  readonly isDying: boolean
  /** Its kernel has stopped by itself: shut down, rebooted or crashed, and kept by the toolstack. */
  readonly isShutdown: boolean
  /** Somebody's pause is in force: the count behind it is not told. */
  readonly isPaused: boolean
  readonly totalFrames: number
  readonly maxFrames: number
  /** Frames that a pager has written out; mapping one brings it back. */
  readonly pagedFrames: number
  /** Machine frame of a PV guest's shared info. */
  readonly sharedInfoFrame: number
  /** Highest number of a vCPU, -1 when there is none. */
  readonly maxVcpu: number
}

/** Bytes of mapped frames, one after another. */
export interface MappedBytes {
  read(offsetBytes: number, into: Uint8Array): void
}

/** The questions that a live guest is asked, and the two orders it is given. */
export interface Hypervisor extends Disposable {
  /** Major.minor. */
  readonly version: string
  /** Hypercalls so far; each operation of a multicall counts, and so does each mapping of a batch of frames. */
  readonly questions: number
  /** Undefined when there is no such domain. */
  info(domid: number): DomainInfo | undefined
  /** Adds one to the domain's count of pauses and waits until its vCPUs stand still. Throws OfflineError. */
  pause(domid: number): void
  /** Takes one from the count. False when it was zero, or there is no such domain. */
  unpause(domid: number): boolean
  /** 32 or 64, of a PV guest. */
  addressBits(domid: number): number
  /** `struct vcpu_guest_context`, or undefined for a vCPU that is not there or was never started. */
  vcpuContext(domid: number, vcpu: number): Uint8Array | undefined
  /** Highest frame number that was ever in use (translated guests). */
  maximumFrame(domid: number): number
  /** Changes nothing. Translated guests. */
  populateOnDemand(domid: number): PopulateOnDemand
  /** HVMMEM_* of each of at most BATCH_FRAMES frames of a translated guest. Changes nothing, populates nothing. */
  memTypes(domid: number, frames: readonly number[]): Uint16Array
  /** Type (bits 28 to 31 of PFINFO) of each of at most BATCH_FRAMES machine frames of a PV guest. */
  frameTypes(domid: number, frames: readonly number[]): Uint8Array
  /**
   * Maps at most BATCH_FRAMES frames (machine frames of a PV guest), calls `use` with the bytes and for each frame 0 or the
   * number of an error, and unmaps them. The bytes of a frame with an error must not be read. Populates frames that were
   * to be populated on demand.
   */
  map<T>(domid: number, frames: readonly number[], use: (bytes: MappedBytes, errors: Int32Array) => T): T
}

/** Frames in one question. */
export const BATCH_FRAMES = 1024
