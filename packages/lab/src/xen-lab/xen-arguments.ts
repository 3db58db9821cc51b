/** Files of one run of Xen; paths of this machine. */
export interface XenHostFiles {
  /** The decompressed hypervisor. */
  readonly hypervisor: string
  readonly vmlinuz: string
  readonly initrd: string
  readonly console: string
  readonly agentSocket: string
  /** The folder that the first domain sees as /share, and may write. */
  readonly share: string
  /** The folder with Node's program. */
  readonly node: string
}

export interface XenMemory {
  /** Memory of the emulated machine in MiB. */
  readonly memMiB: number
  /** What of it the first domain has. */
  readonly dom0MiB: number
}

/**
 * Each domain's floating point registers are to be restored whenever it runs: the lazy way of a Xen that is told to mitigate
 * nothing relies on CR0.TS, which QEMU's emulation does not always heed, and domains then see each other's registers.
 */
const MITIGATIONS = 'no,eager-fpu'

/**
 * Without SMAP, with which a PV first domain takes a page fault on its first way to user space under QEMU's emulation, and
 * without RDTSCP, which it reports as RDTSC, so that a PVH guest hangs.
 */
const CPU = 'max,-smap,-rdtscp'

/** QEMU's command line for Xen with its first domain: software emulation of one CPU, no disk, no network. */
export function xenArguments(files: XenHostFiles, { memMiB, dom0MiB }: XenMemory): string[] {
  const xen = `console=com1 com1=115200,8n1 dom0_mem=${dom0MiB}M,max:${dom0MiB}M spec-ctrl=${MITIGATIONS}`
  const argv = ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-machine', 'q35', '-cpu', CPU, '-smp', '1']
  argv.push('-m', `${memMiB}M`, '-display', 'none', '-nodefaults', '-no-reboot')
  argv.push('-kernel', files.hypervisor, '-append', xen)
  argv.push('-initrd', `${files.vmlinuz} console=hvc0 loglevel=4,${files.initrd}`)
  argv.push('-fsdev', `local,id=node,path=${files.node},security_model=none,readonly=on`)
  argv.push('-device', 'virtio-9p-pci,fsdev=node,mount_tag=node')
  argv.push('-fsdev', `local,id=share,path=${files.share},security_model=none`)
  argv.push('-device', 'virtio-9p-pci,fsdev=share,mount_tag=share')
  argv.push('-serial', `file:${files.console}`)
  argv.push('-chardev', `socket,id=agent,path=${files.agentSocket}`, '-serial', 'chardev:agent')
  return argv
}
