import { dumpByQemu, type LabGuest, readerCommand } from '@ullage/lab'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { runTimed, type RunTimedOptions, type TimedRun } from './run-timed.ts'
import type { Codec } from './ullage.ts'

/** `bytes`: of the file. */
export interface PeerRun extends Pick<TimedRun, 'wallMs' | 'cpuMs'> {
  readonly bytes: number
}

/** makedumpfile's options for a compression. */
const FLAGS: Readonly<Record<Codec, string>> = { lzo: '-l', zstd: '-z', zlib: '-c' }
/** Linux counts CPU time of processes in hundredths of a second (USER_HZ). */
const TICK_MS = 10

export interface FilterOptions extends RunTimedOptions {
  readonly elf: string
  readonly output: string
  readonly level: number
  readonly codec: Codec
}

/** makedumpfile, the newest, in one thread: `output` is replaced. It prints no progress. */
export async function filterByMakedumpfile(options: FilterOptions): Promise<PeerRun> {
  const { elf, output, level, codec, signal } = options
  rmSync(output, { force: true })
  const argv = ['--message-level', '4', FLAGS[codec], '-d', String(level), elf, output]
  const run = await runTimed([...readerCommand('makedumpfile'), ...argv], { signal })
  return { wallMs: run.wallMs, cpuMs: run.cpuMs, bytes: statSync(output).size }
}

/** QEMU's own dump as an ELF core, its program headers moved to where makedumpfile looks for them. Fills the RAM's holes. */
export function dumpElf(guest: LabGuest, path: string): Promise<PeerRun> {
  return timedDump(guest, path, () => dumpByQemu(guest, path))
}

/** QEMU's own kdump-compressed dump. Fills the RAM's holes. */
export function dumpKdumpZlib(guest: LabGuest, path: string): Promise<PeerRun> {
  return timedDump(guest, path, async () => {
    await guest.qmp('dump-guest-memory', { paging: false, protocol: `file:${path}`, format: 'kdump-zlib' })
    await chmod(path, 0o600)
  })
}

async function timedDump(guest: LabGuest, path: string, dump: () => Promise<void>): Promise<PeerRun> {
  rmSync(path, { force: true })
  const cpuBefore = cpuOf(guest.pid)
  const started = performance.now()
  await dump()
  const wallMs = performance.now() - started
  return { wallMs, cpuMs: cpuOf(guest.pid) - cpuBefore, bytes: statSync(path).size }
}

/** CPU time of a process and all its threads so far, in milliseconds. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // Field 2, the name, may hold anything; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}
