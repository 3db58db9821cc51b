import { join } from 'node:path'
import type { Era } from './era.ts'
import type { GuestOptions, MemoryKind } from './guest-options.ts'

/** Where a guest's files are. */
export interface GuestFiles {
  readonly folder: string
  readonly qmpSocket: string
  readonly agentSocket: string
  readonly console: string
  /** Path for a named RAM file; its folder is where QEMU makes nameless ones. On tmpfs. */
  readonly ram: string
  readonly virtioMem: string
  /** The disk, where the guest has one. */
  readonly disk: string
}

export function guestFiles(folder: string, ramFolder: string): GuestFiles {
  return {
    folder,
    qmpSocket: join(folder, 'qmp.sock'),
    agentSocket: join(folder, 'agent.sock'),
    console: join(folder, 'console.log'),
    ram: join(ramFolder, 'ram'),
    virtioMem: join(ramFolder, 'virtio-mem'),
    disk: join(ramFolder, 'disk'),
  }
}

function memoryBackend(kind: MemoryKind, id: string, sizeMiB: number, path: string): string {
  const size = `id=${id},size=${sizeMiB}M`
  switch (kind) {
    case 'file':
      return `memory-backend-file,${size},mem-path=${path},share=on`
    case 'unlinked':
      // QEMU makes a nameless file when it is given a folder.
      return `memory-backend-file,${size},mem-path=${join(path, '..')},share=on`
    case 'file-private':
      return `memory-backend-file,${size},mem-path=${path},share=off`
    case 'memfd':
      return `memory-backend-memfd,${size},share=on`
    case 'hugetlb':
      return `memory-backend-memfd,${size},share=on,hugetlb=on,hugetlbsize=2M`
    case 'anonymous':
      return `memory-backend-ram,${size}`
  }
}

/** QEMU's command line for a guest: software emulation, one balloon, the lab's monitor on stdio, a free QMP socket. */
export function qemuArguments(options: GuestOptions, era: Era, initrd: string, files: GuestFiles): string[] {
  const { memMiB = 256, memory = 'file', cpu = 'max', cpus = 2, virtioMem } = options
  const isArm = era.machine === 'aarch64'
  // Signed pointers by the architecture's own algorithm take most of the time of emulation.
  const cpuModel = isArm && cpu === 'max' ? 'max,pauth-impdef=on' : cpu
  const machine = isArm ? 'virt' : (options.machine ?? 'q35')
  const below4g = options.maxRamBelow4gMiB === undefined ? '' : `,max-ram-below-4g=${options.maxRamBelow4gMiB}M`
  const fill = options.fillMiB === undefined ? '' : ` lab_fill=${options.fillMiB}`
  const argv = [`qemu-system-${era.machine}`, '-accel', 'tcg,thread=multi', '-cpu', cpuModel, '-smp', `${cpus}`]
  argv.push('-display', 'none', '-nodefaults', '-no-reboot')
  argv.push('-object', memoryBackend(memory, 'ram0', memMiB, files.ram))
  argv.push('-machine', `${machine},memory-backend=ram0${below4g}`)
  argv.push('-kernel', era.vmlinuz, '-initrd', initrd)
  // On a busy host emulation is too slow for the kernel's test of its timer, without which it panics.
  const console = isArm ? 'console=ttyAMA0' : 'console=ttyS0 no_timer_check'
  argv.push('-append', `${console} panic=-1 quiet${fill} ${options.append ?? ''}`.trim())
  argv.push('-serial', `file:${files.console}`)
  argv.push('-chardev', `socket,id=agent,path=${files.agentSocket}`)
  // The arm64 machine has one serial line of its own.
  argv.push(...(isArm ? ['-device', 'pci-serial,chardev=agent'] : ['-serial', 'chardev:agent']))
  argv.push('-chardev', 'stdio,id=lab,signal=off', '-mon', 'chardev=lab,mode=control')
  argv.push('-qmp', `unix:${files.qmpSocket},server=on,wait=off`)
  const reporting = options.freePageReporting === true ? 'on' : 'off'
  argv.push('-device', `virtio-balloon-pci,id=balloon0,free-page-reporting=${reporting}`)
  // Every kernel of the lab has a driver for NVMe built in.
  if (options.diskMiB !== undefined) {
    argv.push('-drive', `id=disk0,if=none,format=raw,file=${files.disk}`, '-device', 'nvme,serial=lab,drive=disk0')
  }
  if (options.vmcoreinfo !== false) argv.push('-device', 'vmcoreinfo')
  if (virtioMem === undefined) return [...argv, '-m', `${memMiB}M`]
  const { sizeMiB, requestedMiB } = virtioMem
  argv.push('-object', `${memoryBackend(memory, 'vm0', sizeMiB, files.virtioMem)},prealloc=off,reserve=off`)
  // The oldest driver does not know that unplugged memory may be out of reach, and the device then refuses it.
  const inaccessible = era.name === 'bullseye' ? ',unplugged-inaccessible=off' : ''
  argv.push('-device', `virtio-mem-pci,id=vmem0,memdev=vm0,requested-size=${requestedMiB}M${inaccessible}`)
  return [...argv, '-m', `${memMiB}M,maxmem=${memMiB + sizeMiB + 1024}M`]
}
