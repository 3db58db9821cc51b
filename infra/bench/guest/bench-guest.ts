import { bootGuest, type LabGuest } from '@ullage/lab'
import { truncateSync } from 'node:fs'
import type { GuestSize } from './guest-size.ts'
import { type ContentParts, writeContent } from './write-content.ts'

const ERA = 'trixie'
/** Of the content: read into the page cache, put into files on tmpfs, and held by processes. They add up to 1. */
const IN_CACHE = 0.5
const IN_TMPFS = 0.3
/** One process holds so much, at most. */
const HELD_MIB = 128

export interface BenchGuest {
  readonly guest: LabGuest
  readonly parts: ContentParts
}

/**
 * Boots the guest of the benchmark and fills its memory: content on its disk goes, each part once, into page cache, files on
 * tmpfs and memory of processes. What is not for the page cache is read past it, so that no page is there twice. It runs
 * when this returns. Disposing of the guest is the caller's.
 */
export async function bootBenchGuest(size: GuestSize, signal: AbortSignal): Promise<BenchGuest> {
  const { memMiB, balloonMiB, contentMiB } = size
  const guest = await bootGuest({ era: ERA, memMiB, balloonMiB, diskMiB: contentMiB, signal })
  try {
    const { disk } = guest
    if (disk === undefined) throw new Error('the guest of the benchmark has no disk')
    const parts = writeContent(disk, contentMiB << 20)
    const cached = Math.floor(contentMiB * IN_CACHE)
    const inFiles = Math.floor(contentMiB * IN_TMPFS)
    await guest.exec(fill({ cached, inFiles, held: contentMiB - cached - inFiles }))
    // The guest has what was on it; the room is wanted for dumps.
    truncateSync(disk, 0)
    truncateSync(disk, contentMiB << 20)
    return { guest, parts }
  } catch (error) {
    await guest[Symbol.asyncDispose]()
    throw error
  }
}

/** Shell lines that spread the disk over the guest's memory; sizes in MiB. A process holds what it cannot write on. */
function fill({ cached, inFiles, held }: { cached: number; inFiles: number; held: number }): string {
  const processes: string[] = []
  for (let skip = cached + inFiles; skip < cached + inFiles + held; skip += HELD_MIB) {
    const count = Math.min(HELD_MIB, cached + inFiles + held - skip)
    processes.push(`hold ${skip} ${count}`)
  }
  return String.raw`
set -e
disk=/dev/nvme0n1
# What was read of a device is dropped when nobody has it open.
(exec 4< $disk; exec sleep 1000000) &
dd if=$disk of=/dev/null bs=1M count=${cached} 2> /dev/null
dd if=$disk of=/tmp/content bs=1M skip=${cached} count=${inFiles} iflag=direct 2> /dev/null
hold() {
  mkfifo /tmp/held-$1
  (exec 9<> /tmp/held-$1
   exec dd if=$disk of=/tmp/held-$1 ibs=$(($2 << 20)) obs=$(($2 << 20)) count=1 skip=$(($1 << 20)) \
     iflag=direct,skip_bytes,fullblock 2> /tmp/held-$1.said) &
  # The first byte comes when the process has read everything.
  [ $(dd if=/tmp/held-$1 bs=1 count=1 2> /dev/null | wc -c) = 1 ] || cat /tmp/held-$1.said
}
${processes.join('\n')}
`
}
