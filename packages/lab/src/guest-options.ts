/** Eras of guest kernels, named by the Debian suite they come from; never by a version. */
export const ERA_NAMES = ['bullseye', 'bookworm', 'trixie', 'sid'] as const

/** arm64 kernels: those of the cloud, with pages of 4 KiB, and one for any machine with pages of 16 KiB. */
export const ARM64_ERA_NAMES = ['bookworm-arm64', 'trixie-arm64', 'trixie-arm64-16k', 'sid-arm64'] as const

export type EraName = (typeof ERA_NAMES)[number]
export type Arm64EraName = (typeof ARM64_ERA_NAMES)[number]

/**
 * What stands behind the guest's RAM on the host.
 *
 * - `file`: a shared file on tmpfs with a name (memory-backend-file, share=on)
 * - `unlinked`: the same without a name, reachable through `/proc/PID/fd` only
 * - `memfd`: memory-backend-memfd, share=on
 * - `file-private`: a named file with share=off: its content is not guest memory
 * - `anonymous`: memory-backend-ram
 * - `hugetlb`: memory-backend-memfd on 2 MiB huge pages, share=on
 */
export type MemoryKind = 'file' | 'unlinked' | 'memfd' | 'file-private' | 'anonymous' | 'hugetlb'

export interface VirtioMemOptions {
  /** Size of the device's region, in MiB. */
  readonly sizeMiB: number
  /** How much of it the guest is asked to plug, in MiB. */
  readonly requestedMiB: number
}

export interface GuestOptions {
  readonly era: EraName | Arm64EraName
  /** Boot RAM in MiB; 256 when left out. */
  readonly memMiB?: number
  /** MiB that the virtio balloon takes once the guest is up; 0 when left out. */
  readonly balloonMiB?: number
  /** `file` when left out. */
  readonly memory?: MemoryKind
  /** A virtio-mem device beside the boot RAM; its region is of the same kind of memory. */
  readonly virtioMem?: VirtioMemOptions
  /** `q35` when left out; arm64 guests have the one machine `virt`. */
  readonly machine?: 'q35' | 'pc'
  /** `max` when left out: five-level page tables, or arm64's 52-bit addresses. `qemu64` has four levels, `neoverse-n1` 48 bits. */
  readonly cpu?: 'max' | 'qemu64' | 'neoverse-n1'
  /** vCPUs; 2 when left out. */
  readonly cpus?: number
  /** Whether the guest can hand its VMCOREINFO to QEMU (device vmcoreinfo); true when left out. */
  readonly vmcoreinfo?: boolean
  /** Free page reporting of the balloon device; false when left out. */
  readonly freePageReporting?: boolean
  /** MiB of mixed content (text, random, zeros) put into the guest's page cache before it is ready. */
  readonly fillMiB?: number
  /** Added to the kernel command line. */
  readonly append?: string
  /** RAM below 4 GiB in MiB: the rest of a small guest's RAM then lies above 4 GiB. */
  readonly maxRamBelow4gMiB?: number
  /** Size of an empty disk, /dev/nvme0n1 in the guest, in MiB; none when left out. */
  readonly diskMiB?: number
  /** Puts kexec-tools and the guest's own kernel (`KEXEC_KERNEL`) into the guest. */
  readonly kexec?: boolean
  readonly signal?: AbortSignal
}
