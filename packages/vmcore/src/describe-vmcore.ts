import { readElfNotes } from '@ullage/layout'
import type { Uname, Vmcore } from './vmcore.ts'
import type { Compression } from './vmcore-writer.ts'

/** What a vmcore is and holds, as plain JSON. */
export interface VmcoreDescription {
  readonly format: 'kdump' | 'elf'
  readonly flattened: boolean
  readonly machine: string
  readonly pageBytes: number
  /** Size of the file; of a flattened one, of the plain file inside. */
  readonly bytes: number
  readonly incomplete: boolean
  /** ISO 8601; null when the file does not say, as below. */
  readonly timestamp: string | null
  readonly uname: Uname | null
  /** Kernel release by VMCOREINFO, else by uname. */
  readonly kernel: string | null
  readonly dumpLevel: number | null
  readonly compression: Compression
  readonly cpus: number
  /** Decimal, may be negative. */
  readonly physBase: string | null
  readonly frames: {
    /** First frame number after guest memory. */
    readonly max: number
    readonly present: number
    readonly stored: number
    /** Present and not stored. */
    readonly excluded: number
  }
  readonly notes: readonly { readonly name: string; readonly type: number; readonly bytes: number }[]
  readonly hasVmcoreinfo: boolean
}

/** Reads the bitmaps, no page. Throws VmcoreError. */
export async function describeVmcore(
  vmcore: Vmcore,
  options: { signal?: AbortSignal } = {},
): Promise<VmcoreDescription> {
  const { info, bytes } = vmcore
  let present = 0
  for await (const run of vmcore.present(options)) present += run.count
  return {
    format: info.format,
    flattened: info.flattened,
    machine: info.machine,
    pageBytes: info.pageBytes,
    bytes: bytes.sizeBytes,
    incomplete: info.incomplete,
    timestamp: info.timestamp?.toISOString() ?? null,
    uname: info.uname ?? null,
    kernel: /^OSRELEASE=(.*)$/m.exec(info.vmcoreinfo ?? '')?.[1] ?? (info.uname?.release || null),
    dumpLevel: info.dumpLevel ?? null,
    compression: info.compression,
    cpus: info.cpus,
    physBase: info.physBase?.toString() ?? null,
    frames: {
      max: info.maxPfn,
      present,
      stored: info.storedFrames,
      excluded: present - info.storedFrames,
    },
    notes: [...readElfNotes(info.elfNotes)].map(({ name, type, desc }) => ({ name, type, bytes: desc.length })),
    hasVmcoreinfo: info.vmcoreinfo !== undefined,
  }
}
