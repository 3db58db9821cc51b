import { readerCommand } from '@ullage/lab'
import { execFileSync } from 'node:child_process'
import { readFileSync, statfsSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import type { GuestSize } from './guest/guest-size.ts'

/** What the benchmark ran on, and with. */
export interface Machine {
  /** Of the sources, with "+" where files of them were changed; "unknown" outside a checkout. */
  readonly commit: string
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly kernel: string
  readonly node: string
  readonly qemu: string
  readonly makedumpfile: string
}

export function describeMachine(): Machine {
  const [command = '', ...argv] = readerCommand('makedumpfile')
  const said = (program: string, args: readonly string[]): string =>
    execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return {
    commit: commitOf(import.meta.dirname),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
    qemu: /version (\S+)/.exec(said('qemu-system-x86_64', ['--version']))?.[1] ?? 'unknown',
    makedumpfile: /version (\S+)/.exec(said(command, [...argv, '-v']))?.[1] ?? 'unknown',
  }
}

function commitOf(folder: string): string {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: folder, encoding: 'utf8' }).trim()
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no', ':/packages', ':/apps') !== ''
    return `${git('rev-parse', '--short=10', 'HEAD')}${changed ? '+' : ''}`
  } catch {
    return 'unknown'
  }
}

/** Load averages of the last minute, five and fifteen. */
export function machineLoad(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')
}

const MIB = 2 ** 20
const TMPFS = '/dev/shm'
/** Room for what is small: initial RAM disks, notes, programs. */
const SPARE_MIB = 512

/**
 * Throws when tmpfs, or the memory behind it, has no room for the guest's RAM with all holes filled, a dense ELF of it, and
 * two dumps of its content.
 */
export function refuseWithoutRoom({ memMiB, contentMiB }: GuestSize): void {
  const needed = 2 * memMiB + 2 * contentMiB + SPARE_MIB
  const { bavail, bsize } = statfsSync(TMPFS)
  const room = Math.floor((bavail * bsize) / MIB)
  const memory = Math.floor(
    Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1]) / 1024,
  )
  if (Math.min(room, memory) >= needed) return
  throw new Error(
    `the benchmark needs ${needed} MiB of memory on ${TMPFS}: ${room} MiB are free there, and the machine has ${memory} MiB to give`,
  )
}
