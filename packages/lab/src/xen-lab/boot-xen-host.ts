import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { collectStderr, killAndWait, spawnBound } from '../bound-process.ts'
import { GuestAgent } from '../guest-agent.ts'
import { startJanitor } from '../janitor.ts'
import { LabError } from '../lab-error.ts'
import { writeCheckoutArchive } from './checkout-archive.ts'
import { dom0Initrd } from './dom0-initrd.ts'
import { xenArguments } from './xen-arguments.ts'
import { XenHost } from './xen-host.ts'
import { requireXenPackages } from './xen-packages.ts'

const BOOT_TIMEOUT_MS = 180_000
const CHECKOUT = join(import.meta.dirname, '../../../..')

export interface XenHostOptions {
  /** Memory of the emulated machine in MiB; 3072 when left out. */
  readonly memMiB?: number
  /** What of it the first domain has; 1024 when left out. */
  readonly dom0MiB?: number
  readonly signal?: AbortSignal
}

/**
 * Boots Xen and its first domain under QEMU's software emulation and resolves when its init says that it is ready. The
 * first domain has Node and this checkout as it is now, in /ullage. Needs `npm run setup -- --long`. Throws a LabError with the end of the console
 * when it does not get there; nothing is left then.
 */
export async function bootXenHost({ memMiB = 3072, dom0MiB = 1024, signal }: XenHostOptions = {}): Promise<XenHost> {
  const packages = requireXenPackages()
  await using cleanup = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'ullage-xen-'))
  const janitor = startJanitor({ paths: [folder] })
  cleanup.defer(() => janitor.clean())
  const files = {
    hypervisor: join(folder, 'xen'),
    vmlinuz: packages.vmlinuz,
    initrd: dom0Initrd(packages),
    console: join(folder, 'console.log'),
    agentSocket: join(folder, 'agent.sock'),
    share: join(folder, 'share'),
    node: join(CHECKOUT, 'node_modules/node/bin'),
  }
  mkdirSync(files.share)
  writeCheckoutArchive(CHECKOUT, join(files.share, 'checkout.tar'))
  writeFileSync(files.hypervisor, gunzipSync(readFileSync(packages.xen)))

  const agent = await GuestAgent.listen(files.agentSocket)
  cleanup.defer(() => agent.close('the Xen host was disposed of'))
  const child = spawnBound(xenArguments(files, { memMiB, dom0MiB }), ['ignore', 'ignore', 'pipe'])
  cleanup.defer(() => killAndWait(child))
  const stderr = collectStderr(child)
  child.on('exit', (code, ended) => agent.close(`QEMU ended with ${ended ?? `status ${code}`}: ${stderr()}`))
  child.on('error', (error) => agent.close(`QEMU cannot be started: ${error.message}`))

  const timeout = AbortSignal.timeout(BOOT_TIMEOUT_MS)
  const given = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
  const stopWaiting = (): void =>
    agent.close(timeout.aborted ? `not ready after ${BOOT_TIMEOUT_MS / 1000} s` : 'interrupted while it was booting')
  given.addEventListener('abort', stopWaiting)
  const consoleText = (): string => readFileSync(files.console, 'latin1')
  await agent.ready.catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new LabError(`Xen ${packages.version} did not boot: ${why}\n${consoleText().slice(-2000)}`)
  })
  given.removeEventListener('abort', stopWaiting)
  return new XenHost({ agent, share: files.share, consoleText, dispose: cleanup.move() })
}
