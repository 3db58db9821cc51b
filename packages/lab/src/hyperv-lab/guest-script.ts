/** Where the files of the guest are on its host. */
export const GUEST_FILES = {
  qmp: '/tmp/guest/qmp',
  trace: '/tmp/guest/trace',
  ram: '/dev/shm/ram',
  hotAdd: '/dev/shm/hot-add',
} as const

/** Of memory for hot-add QEMU wants the address to be a multiple of 32 GiB. */
export const HOT_ADD_GPA_BYTES = 2 ** 35

export interface HypervGuestOptions {
  /** Memory at boot. */
  readonly memMiB: number
  /** Memory that can be hot-added. */
  readonly hotAddMiB: number
}

/**
 * For the host's shell: starts QEMU with a guest that takes it for Hyper-V (its KVM hidden, a SynIC, a VMBus with a
 * Dynamic Memory host), without hibernation, since a guest that can hibernate ignores its balloon. The guest's init and a
 * monitor are on serial lines of the host.
 */
export function guestScript({ memMiB, hotAddMiB }: HypervGuestOptions): string {
  const memory = (id: string, sizeMiB: number, path: string): string =>
    `-object memory-backend-file,id=${id},size=${sizeMiB}M,mem-path=${path},share=on`
  const cpu = 'host,kvm=off,hv-relaxed,hv-vapic,hv-vpindex,hv-runtime,hv-time,hv-synic,hv-stimer'
  const parts = [
    'qemu-system-x86_64 -nodefaults -display none -no-user-config -no-reboot',
    `-machine q35,memory-backend=ram0 -accel kvm -cpu ${cpu} -smp 1 -m ${memMiB}M,maxmem=80G`,
    memory('ram0', memMiB, GUEST_FILES.ram),
    memory('hot0', hotAddMiB, GUEST_FILES.hotAdd),
    '-kernel /share/guest/vmlinuz -initrd /share/guest/initrd',
    '-append "console=ttyS0 quiet panic=-1 mitigations=off nowatchdog"',
    '-global ICH9-LPC.disable_s4=1 -device vmcoreinfo -device vmbus-bridge -device hv-balloon,id=hvb0,memdev=hot0',
    '-serial file:/share/guest/console',
    '-chardev serial,id=agent,path=/dev/ttyS2 -serial chardev:agent',
    '-chardev serial,id=monitor,path=/dev/ttyS3 -mon chardev=monitor,mode=control',
    `-qmp unix:${GUEST_FILES.qmp},server=on,wait=off`,
    `-trace 'hv_balloon_*' -D ${GUEST_FILES.trace} -msg timestamp=on`,
  ]
  return `mkdir -p /tmp/guest
${parts.join(' \\\n  ')} \\
  < /dev/null > /share/guest/qemu 2>&1 &
echo $! > /tmp/guest/pid`
}
