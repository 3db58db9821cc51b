/** What a guest's kernel says of itself. */
export interface GuestTruth {
  /** One u64 of KPF_* bits for each frame from 0 (include/uapi/linux/kernel-page-flags.h). */
  readonly kpageflags: BigUint64Array
  /** One u64 for each frame from 0: how often it is mapped. */
  readonly kpagecount: BigUint64Array
  /** Virtual addresses of some kernel symbols, from /proc/kallsyms. */
  readonly symbols: ReadonlyMap<string, bigint>
  /** The VMCOREINFO text, from /proc/kcore; undefined where the kernel does not show it. */
  readonly vmcoreinfoText: string | undefined
  /** Guest-physical address of the VMCOREINFO note in bytes, from /sys/kernel/vmcoreinfo. */
  readonly vmcoreinfoAddress: bigint | undefined
  /** Release, such as `uname -r` prints it. */
  readonly uname: string
  /** /proc/version. */
  readonly version: string
  readonly cmdline: string
  readonly meminfo: string
  readonly vmstat: string
  readonly iomem: string
  readonly buddyinfo: string
  /** One line per memory block: path, index (hexadecimal), state, zones. */
  readonly memoryBlocks: string
  readonly modules: string
  readonly dmesg: string
}

/** KPF_* bit numbers (include/uapi/linux/kernel-page-flags.h). */
export const KPF = {
  slab: 7,
  buddy: 10,
  anon: 12,
  compoundHead: 15,
  compoundTail: 16,
  huge: 17,
  hwpoison: 19,
  nopage: 20,
  offline: 23,
} as const

/** Frames whose flags have this bit, ascending. */
export function framesWithFlag(kpageflags: BigUint64Array, bit: number): number[] {
  const mask = 1n << BigInt(bit)
  const frames: number[] = []
  kpageflags.forEach((flags, pfn) => {
    if ((flags & mask) !== 0n) frames.push(pfn)
  })
  return frames
}
