import { mkdirSync, mkdtempSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { collectStderr, killAndWait, spawnBound } from './bound-process.ts'
import { requireEra } from './era.ts'
import { GuestAgent } from './guest-agent.ts'
import { guestInitrd } from './guest-initrd.ts'
import type { GuestOptions } from './guest-options.ts'
import { reserveHugePages } from './huge-pages.ts'
import { startJanitor } from './janitor.ts'
import { LabError } from './lab-error.ts'
import type { LabGuest } from './lab-guest.ts'
import { Monitor } from './monitor.ts'
import { guestFiles, qemuArguments } from './qemu-arguments.ts'
import { ramFiles } from './ram-files.ts'
import { readConsole, RunningGuest } from './running-guest.ts'

const BOOT_TIMEOUT_MS = 180_000

/** Multi-threaded software emulation now and then lets a kernel panic while it patches its own code at boot. */
const BOOT_ATTEMPTS = 5
const BROKEN_BY_EMULATION = 'Kernel panic - not syncing: Fatal exception'

/**
 * Boots a real guest and resolves when its init says it is ready, its balloon is inflated and its virtio-mem plugged.
 * A kernel that emulation breaks while it boots is booted again, at most four times, and that is said on stderr. Throws a
 * LabError with the reason and the end of the guest's console when it does not get there; nothing is left then.
 */
export async function bootGuest(options: GuestOptions): Promise<LabGuest> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await bootOnce(options)
    } catch (error) {
      const isBroken = error instanceof LabError && error.message.includes(BROKEN_BY_EMULATION)
      if (!isBroken || attempt === BOOT_ATTEMPTS || options.signal?.aborted) throw error
      process.stderr.write(`lab: a kernel panicked at boot, trying again: ${error.message}\n`)
    }
  }
}

async function bootOnce(options: GuestOptions): Promise<LabGuest> {
  const era = requireEra(options.era)
  const initrd = guestInitrd(era, undefined, options.kexec)
  const { memory = 'file', memMiB = 256, virtioMem } = options

  await using cleanup = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'ullage-lab-'))
  const ramFolder = join('/dev/shm', folder.slice(folder.lastIndexOf('/') + 1))
  const hugePages = memory === 'hugetlb' ? reserveHugePages(memMiB + (virtioMem?.sizeMiB ?? 0)) : 0
  const janitor = startJanitor({ paths: [folder, ramFolder], hugePages })
  cleanup.defer(() => janitor.clean())
  mkdirSync(ramFolder)
  const files = guestFiles(folder, ramFolder)
  if (options.diskMiB !== undefined) {
    writeFileSync(files.disk, '')
    truncateSync(files.disk, options.diskMiB * 1024 * 1024)
  }

  const agent = await GuestAgent.listen(files.agentSocket)
  cleanup.defer(() => agent.close('the guest was disposed of'))
  const startedMs = performance.now()
  const child = spawnBound(qemuArguments(options, era, initrd, files), ['pipe', 'pipe', 'pipe'])
  cleanup.defer(() => killAndWait(child))
  const stderr = collectStderr(child)
  const { stdin, stdout, pid } = child
  if (stdin === null || stdout === null || pid === undefined) {
    throw new LabError(`QEMU cannot be started: is qemu-system-${era.machine} installed? run npm run setup`)
  }
  child.on('exit', (code, signal) => agent.close(`QEMU ended with ${signal ?? `status ${code}`}: ${stderr()}`))

  const monitor = new Monitor(stdout, stdin)
  await monitor.command('qmp_capabilities').catch((cause: unknown) => {
    throw new LabError(`QEMU did not start: ${stderr()}`, { cause })
  })
  const timeout = AbortSignal.timeout(BOOT_TIMEOUT_MS)
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal])
  const stopWaiting = (): void =>
    agent.close(timeout.aborted ? `not ready after ${BOOT_TIMEOUT_MS / 1000} s` : 'interrupted while it was booting')
  signal.addEventListener('abort', stopWaiting)
  await agent.ready.catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new LabError(
      `the ${era.name} guest (${era.release}) did not boot: ${why}\n${readConsole(files).slice(-2000)}`,
    )
  })
  signal.removeEventListener('abort', stopWaiting)

  const guest = new RunningGuest({
    era,
    pid,
    files,
    ramFiles: ramFiles(memory, pid, files, virtioMem === undefined ? 1 : 2),
    hasDisk: options.diskMiB !== undefined,
    bootMs: performance.now() - startedMs,
    monitor,
    agent,
    dispose: cleanup.move(),
  })
  try {
    if (virtioMem !== undefined) await guest.requestVirtioMem(virtioMem.requestedMiB)
    if (options.balloonMiB) await guest.balloon(memMiB - options.balloonMiB)
  } catch (error) {
    await guest[Symbol.asyncDispose]()
    throw error
  }
  return guest
}
