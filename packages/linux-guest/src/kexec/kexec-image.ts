import { countFrames, mergeRanges, type PfnRange, type PfnSet } from '@ullage/pages'
import type { Kernel } from '../kernel.ts'
import { Refusal } from '../refusal.ts'
import { controlFrames } from './control-frames.ts'
import { entryFrames } from './entry-frames.ts'
import type { KexecLayout } from './kexec-layout.ts'

/** Architectures have at most 52 bits of physical address. */
const MAX_ADDRESS = 1n << 52n

/** Pieces of memory that an image is spread over: its pages are taken one by one, and lie together mostly. */
const MAX_RUNS = 65_536

/** A kernel that the guest has loaded to jump into. Ranges are ascending and disjoint, in frames of the guest's pages. */
export interface KexecImage {
  /** `kexec` for the next reboot, `crash` for a panic: that one lies where it will run. */
  readonly kind: 'kexec' | 'crash'
  /** Where each segment will be when it runs, in the order of the image. */
  readonly segments: readonly PfnRange[]
  /** Where the segments' content waits until then, and the lists that say where it goes. */
  readonly sources: readonly PfnRange[]
  /** The code that puts it in place and jumps, and its page tables. */
  readonly control: readonly PfnRange[]
  /** What could not be followed to the end, or does not fit: `sources` or `control` may be incomplete. */
  readonly faults: readonly string[]
}

/** Reads the image whose `struct kimage` is at `address`. Throws Refusal when it cannot be one. */
export function readKexecImage(
  kernel: Kernel,
  address: bigint,
  options: { kind: KexecImage['kind']; layout: KexecLayout },
): KexecImage {
  const { kind, layout } = options
  const bytes = kernel.memory.read(address, layout.imageBytes)
  if (!bytes) throw new Refusal(`its ${kind} image at 0x${address.toString(16)} is not in readable guest RAM`)
  const view = new DataView(bytes.buffer)
  const segments = readSegments(view, kernel, layout)
  // A crash image was put where it will run, and what it needs to start is in the crashkernel= area with it.
  if (kind === 'crash') return { kind, segments, sources: [], control: [], faults: [] }
  const faults: string[] = []
  const pages = countFrames(segments)
  const entries = entryFrames(kernel.memory.frames, view.getBigUint64(layout.head, true), { pages, faults })
  const control = controlFrames(kernel, { image: address, view, layout, faults })
  return { kind, segments, sources: firstRuns(entries, faults), control: [...control.allRuns()], faults }
}

/** The runs of `frames`, as long as they are not too many; else a fault says so. */
function firstRuns(frames: PfnSet, faults: string[]): PfnRange[] {
  const runs: PfnRange[] = []
  for (const run of frames.allRuns()) {
    if (runs.length === MAX_RUNS) {
      faults.push(`its content waits in more than ${MAX_RUNS} pieces`)
      break
    }
    runs.push(run)
  }
  return runs
}

/** The kernel takes none but whole pages that do not overlap, in order or not (Linux kernel/kexec_core.c). */
function readSegments(view: DataView, kernel: Kernel, layout: KexecLayout): PfnRange[] {
  const { frameShift, count: ramFrames } = kernel.memory.frames
  const count = view.getBigUint64(layout.nrSegments, true)
  if (count > BigInt(layout.maxSegments)) {
    throw new Refusal(`its image should have at most ${layout.maxSegments} segments, found ${count}`)
  }
  const segments: PfnRange[] = []
  for (let i = 0; i < Number(count); i++) {
    const at = layout.segments + i * layout.segmentBytes
    const mem = view.getBigUint64(at + layout.mem, true)
    const memsz = view.getBigUint64(at + layout.memsz, true)
    const end = mem + memsz
    const inPage = (mem | memsz) & ((1n << BigInt(frameShift)) - 1n)
    if (inPage !== 0n || end > MAX_ADDRESS) {
      throw new Refusal(`segment ${i} of its image, 0x${memsz.toString(16)} bytes at 0x${mem.toString(16)}, is none`)
    }
    if (memsz > 0n) {
      segments.push({ start: Number(mem >> BigInt(frameShift)), count: Number(memsz >> BigInt(frameShift)) })
    }
  }
  const sum = countFrames(segments)
  if (countFrames(mergeRanges(segments)) !== sum) throw new Refusal('segments of its image overlap')
  if (sum > ramFrames) throw new Refusal(`the segments of its image have ${sum} frames, its RAM has ${ramFrames}`)
  return segments
}
