import { endOf, type PfnRange } from '@ullage/pages'

/** What of a guest the fuzzer changes: frames and what is in them. */
export interface FuzzTargets {
  readonly structPages: readonly PfnRange[]
  readonly tables: readonly number[]
  readonly sections: readonly number[]
  readonly vmcoreinfoPfn: number | undefined
  readonly structPageBytes: number
  /** VMCOREINFO as the guest has it. */
  readonly vmcoreinfo: string
}

/** State of a frame, one byte each from frame 0. */
export const FRAME = { notRam: 0, backed: 1, unbacked: 2 } as const

/** A guest before it is changed. Nothing in it is written again. */
export interface FuzzBase {
  readonly name: string
  readonly machine: 'x86_64' | 'aarch64'
  readonly frameBytes: number
  readonly extents: readonly PfnRange[]
  /** One of `FRAME` for each frame from 0 to the end of guest RAM. */
  readonly states: Uint8Array
  /** Slot of a frame's content in `content`, in frames, or -1 for zeros. */
  readonly slots: Int32Array
  readonly content: Uint8Array
  /** ELF notes: vCPUs, and VMCOREINFO. */
  readonly vcpuNotes: Uint8Array
  readonly vmcoreinfoNote: Uint8Array
  readonly targets: FuzzTargets
}

export interface BaseParts
  extends Pick<FuzzBase, 'name' | 'machine' | 'frameBytes' | 'extents' | 'vcpuNotes' | 'vmcoreinfoNote' | 'targets'> {
  /** Frames whose content is kept; any others are zeros. */
  readonly kept: Iterable<number>
  isBacked(pfn: number): boolean
  read(pfn: number, into: Uint8Array): void
}

/** Copies what matters of a guest into memory. */
export function makeBase(parts: BaseParts): FuzzBase {
  const { name, machine, frameBytes, extents, vcpuNotes, vmcoreinfoNote, targets } = parts
  const end = Math.max(...extents.map(endOf))
  const states = new Uint8Array(end)
  for (const extent of extents) {
    for (let pfn = extent.start; pfn < endOf(extent); pfn++) {
      states[pfn] = parts.isBacked(pfn) ? FRAME.backed : FRAME.unbacked
    }
  }
  const kept = [...new Set(parts.kept)].filter((pfn) => states[pfn] === FRAME.backed)
  const slots = new Int32Array(end).fill(-1)
  const content = new Uint8Array(kept.length * frameBytes)
  for (const [slot, pfn] of kept.entries()) {
    slots[pfn] = slot
    parts.read(pfn, content.subarray(slot * frameBytes, (slot + 1) * frameBytes))
  }
  return { name, machine, frameBytes, extents, states, slots, content, vcpuNotes, vmcoreinfoNote, targets }
}
