import { join } from 'node:path'

/** Files of one emulated host; paths of this machine. */
export interface HypervHostFiles {
  readonly vmlinuz: string
  readonly initrd: string
  readonly console: string
  /** Sockets of ours that its serial lines connect to: of its own init, of its guest's, and of its guest's monitor. */
  readonly agentSocket: string
  readonly guestSocket: string
  readonly monitorSocket: string
  /** What the host sees as /machine, /node and /share; only the last may be written. */
  readonly machine: string
  readonly node: string
  readonly share: string
}

/** Memory of the emulated host: its guest's memory lies in it, in files. */
const MEM_MIB = 2048

/** QEMU's command line for a host of one emulated AMD processor with nested paging, no disk, no network. */
export function hypervHostArguments(files: HypervHostFiles): string[] {
  const kernel = 'console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check'
  return [
    [...emulator(files.machine), '-accel', 'tcg,thread=multi', '-machine', 'q35'],
    ['-cpu', 'max,+svm,+npt', '-smp', '1'],
    ['-m', `${MEM_MIB}M`, '-display', 'none', '-nodefaults', '-no-reboot'],
    ['-kernel', files.vmlinuz, '-initrd', files.initrd, '-append', kernel],
    folder('machine', `${files.machine},readonly=on`),
    folder('node', `${files.node},readonly=on`),
    folder('share', files.share),
    ['-serial', `file:${files.console}`],
    line('agent', files.agentSocket),
    line('guest', files.guestSocket),
    line('monitor', files.monitorSocket),
  ].flat()
}

/**
 * The QEMU that runs in the host emulates it as well, by its own loader and libraries: under that of bookworm (7.2) one run in
 * ten hung in the nested guest, its processor busy and no timer going off.
 */
function emulator(machine: string): string[] {
  const libraries = join(machine, 'usr/lib/x86_64-linux-gnu')
  const firmware = ['seabios', 'qemu'].flatMap((name) => ['-L', join(machine, 'usr/share', name)])
  const program = join(machine, 'usr/bin/qemu-system-x86_64')
  return [join(libraries, 'ld-linux-x86-64.so.2'), '--library-path', libraries, program, ...firmware]
}

function folder(name: string, path: string): string[] {
  const device = `virtio-9p-pci,fsdev=${name},mount_tag=${name}`
  return ['-fsdev', `local,id=${name},security_model=none,path=${path}`, '-device', device]
}

function line(name: string, path: string): string[] {
  return ['-chardev', `socket,id=${name},path=${path}`, '-serial', `chardev:${name}`]
}
