import { agentShell } from '../agent-shell.ts'

/**
 * The init of the emulated host, for busybox. It loads KVM, mounts QEMU with its libraries and Node (both read
 * only) and the folder it shares with this machine, unpacks the checkout, and then takes commands from its second serial line (see agent-shell.ts).
 */
export const HYPERV_HOST_INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /usr/bin /usr/lib /usr/share /usr/local/bin /share /ullage /machine /node
/bin/busybox --install -s /bin
export PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp
ln -s /bin/env /usr/bin/env
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t tmpfs -o size=90% tmp /tmp; mkdir /tmp/lab
mkdir /dev/shm; mount -t tmpfs -o size=90% shm /dev/shm
for module in /lib/modules/*.ko; do insmod $module || echo "$module does not load"; done
folder() { mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,$3 $1 $2 || echo "no $1"; }
folder machine /machine cache=loose,ro
folder node /node cache=loose,ro
folder share /share cache=mmap
mount -t tmpfs ullage /ullage; tar -x -f /share/checkout.tar -C /ullage || echo "no checkout"
export NODE_COMPILE_CACHE=/tmp/compiled
line=/dev/ttyS1
stty -F $line raw -echo
exec 3<> $line
cd /share
${agentShell}`
