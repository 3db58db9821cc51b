import { agentShell } from '../agent-shell.ts'

/**
 * The init of Xen's first domain, for busybox. It loads the modules in the order of their names, mounts Node (read only)
 * and the folder it shares with this machine, unpacks the checkout into its RAM, starts xenstored and xenconsoled, and then
 * takes commands from its second serial line (see agent-shell.ts). Guests' consoles are written to /share/console.
 */
export const DOM0_INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp/lab /run /usr/bin /var/lib/xen /var/log/xen /share /ullage /usr/local/node
/bin/busybox --install -s /bin
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin HOME=/tmp
ln -s /bin/env /usr/bin/env
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts; mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run; mkdir -p /run/lock /run/xen /run/xenstored
ln -s /run /var/run; ln -s /run/lock /var/lock
for module in /lib/modules/*.ko; do insmod $module || echo "$module does not load"; done
mkdir -p /proc/xen; mount -t xenfs xenfs /proc/xen
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro node /usr/local/node || echo "no Node"
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap share /share || echo "no share"
mkdir -p /share/console
tar -x -f /share/checkout.tar -C /ullage
xenstored --pid-file /run/xenstored.pid
until xenstore-write /local/domain/0/name Domain-0 2> /dev/null; do usleep 100000; done
xen-init-dom0
xenconsoled --log=guest --log-dir=/share/console --pid-file=/run/xenconsoled.pid
export NODE_COMPILE_CACHE=/run/compiled
line=/dev/ttyS1
stty -F $line raw -echo
exec 3<> $line
cd /share
${agentShell}`
