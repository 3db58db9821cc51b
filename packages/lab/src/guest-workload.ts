import type { LabGuest } from './lab-guest.ts'
import { lockingProgram } from './locking-program.ts'

/** MiB of a guest's `diskMiB` that `startWorkload` needs. */
export const WORKLOAD_DISK_MIB = 64

/**
 * Gives a guest with a disk frames of every kind its kernel knows: page cache of a file system, clean and dirty, with
 * private data and without; anonymous memory, in huge pages too; hugetlb pages, reserved and used; tmpfs; locked memory;
 * pages in the swap cache. What holds them goes on running. Throws LabError with what the guest printed when a step fails.
 */
export async function startWorkload(guest: LabGuest): Promise<void> {
  await guest.exec(FILES)
  await guest.exec(memory(Buffer.from(lockingProgram()).toString('base64')))
  await guest.exec(SWAP)
}

/** A file system on the disk with files that were written back, buffers of the disk, hugetlb pages, tmpfs. */
const FILES = String.raw`
set -e
mke2fs /dev/nvme0n1 > /dev/null
mkdir -p /disk /huge
mount -t ext4 /dev/nvme0n1 /disk
head -c 6000000 /dev/urandom > /disk/clean
sync
for i in 1 2 3 4 5 6 7 8; do mkdir /disk/$i; cp /bin/busybox /disk/$i/; done
head -c 2000000 /dev/nvme0n1 > /dev/null
mount -t hugetlbfs none /huge
echo 6 > /proc/sys/vm/nr_hugepages
fallocate -l 4194304 /huge/used
mkdir -p /tmp/tree
head -c 4000000 /bin/busybox > /tmp/tree/text
`

/** Anonymous memory in huge pages, of zeros and of noise, and memory that its owner has locked. */
const memory = (program: string): string => String.raw`
set -e
echo always > /sys/kernel/mm/transparent_hugepage/enabled
for source in zero urandom; do
  mkfifo /tmp/full-$source
  (exec 9<> /tmp/full-$source; exec dd if=/dev/$source bs=8M count=1 > /tmp/full-$source 2> /dev/null) &
done
echo ${program} | base64 -d > /tmp/lock
chmod +x /tmp/lock
/tmp/lock &
`

/**
 * A process is made to swap out what it holds, and then to read it: pages of it are in the swap cache and mapped. Last a
 * file that is kept from being written back.
 */
const SWAP = String.raw`
set -e
head -c 25165824 /dev/zero > /disk/swap
chmod 600 /disk/swap
mkswap /disk/swap > /dev/null
swapon /disk/swap
mkdir /cgroup
mount -t cgroup2 none /cgroup
echo +memory > /cgroup/cgroup.subtree_control
mkdir /cgroup/small
mkfifo /tmp/again /tmp/asleep
cat > /tmp/holder << 'END'
echo $$ > /cgroup/small/cgroup.procs
text=$(head -c 3000000 /dev/urandom | base64)
echo > /tmp/asleep
read line < /tmp/again
: ${'$'}{#text}
echo > /tmp/asleep
exec 9<> /tmp/again
read line <&9
END
sh /tmp/holder &
read line < /tmp/asleep
echo 1M > /cgroup/small/memory.high
echo 1M > /cgroup/small/memory.max || true
echo max > /cgroup/small/memory.max
echo max > /cgroup/small/memory.high
echo > /tmp/again
read line < /tmp/asleep
sync
echo 0 > /proc/sys/vm/dirty_writeback_centisecs
head -c 3000000 /dev/urandom > /disk/dirty
`
