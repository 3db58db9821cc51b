import { agentShell } from './agent-shell.ts'

/** Where the guest's init takes commands: a second serial line (the first one on PCI), or the console of a Xen guest. */
export type AgentLine = '/dev/ttyS1' | '/dev/ttyS0' | '/dev/hvc0'

/**
 * The guest's init, for busybox. It loads the modules in the order of their names, brings memory online, gives the guest
 * some life (page cache, anonymous memory, zero pages, huge pages) and then takes commands from `line` (see
 * agent-shell.ts): besides `exec`, `truth`, which answers with everything the kernel says of itself and its frames.
 */
export const guestInit = (line: AgentLine): string => String.raw`#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t tmpfs -o size=95% tmp /tmp
mkdir /tmp/lab
for module in /lib/modules/*.ko; do
  insmod $module 2> /tmp/lab/insmod || { grep -q 'File exists' /tmp/lab/insmod || cat /tmp/lab/insmod > /dev/console; }
done
echo online > /sys/devices/system/memory/auto_online_blocks 2> /dev/null
for state in /sys/devices/system/memory/memory*/state; do
  grep -q offline $state && echo online_movable > $state
done 2> /dev/null

line=${line}
stty -F $line raw -echo
exec 3<> $line

dd if=/dev/urandom of=/tmp/random bs=64k count=16 2> /dev/null
dd if=/dev/zero of=/tmp/zeros bs=64k count=64 2> /dev/null
cat /bin/busybox /bin/busybox > /tmp/text
(text=$(head -c 400000 /bin/busybox | base64); sleep 1000000) 3>&- &
(text=$(head -c 300000 /dev/urandom | base64); sleep 1000000) 3>&- &
echo 4 > /proc/sys/vm/nr_hugepages 2> /dev/null

fill=$(sed -n 's/.*lab_fill=\([0-9]*\).*/\1/p' /proc/cmdline); filled=0
while [ $filled -lt $((${'$'}{fill:-0} * 2)) ]; do
  head -c 200000 /bin/busybox; head -c 74288 /dev/urandom; head -c 250000 /dev/zero; filled=$((filled + 1))
done > /tmp/fill

symbols='swapper_pg_dir init_top_pgt mem_section _text _stext _end phys_base vmemmap_base page_offset_base init_uts_ns'
symbols="$symbols node_data saved_command_line vmcoreinfo_note vmcoreinfo_data linux_banner init_task contig_page_data"

truth() {
  sync
  uname -r | send uname
  cat /proc/version | send version
  cat /proc/cmdline | send cmdline
  cat /proc/iomem | send iomem
  cat /proc/meminfo | send meminfo
  cat /proc/vmstat | send vmstat
  cat /proc/buddyinfo | send buddyinfo
  cat /proc/modules | send modules
  cat /sys/kernel/vmcoreinfo | send vmcoreinfo_address
  for block in /sys/devices/system/memory/memory*; do
    [ -d $block ] && echo "$block $(cat $block/phys_index) $(cat $block/state) $(cat $block/valid_zones)"
  done 2> /dev/null | send memory_blocks
  dmesg | send dmesg
  head -c 65536 /proc/kcore | send kcore
  # Fixed words: one expression with alternatives takes seconds here.
  grep -Fw "$(echo "$symbols" | tr ' ' '\n')" /proc/kallsyms | send symbols
  cat /proc/kpagecount | send kpagecount
  cat /proc/kpageflags | send kpageflags
}

${agentShell}`
