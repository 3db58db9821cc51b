import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { collectStderr, killAndWait, spawnBound } from '../bound-process.ts'
import { GuestAgent } from '../guest-agent.ts'
import { startJanitor } from '../janitor.ts'
import { LabError } from '../lab-error.ts'
import { hypervHostArguments } from './host-arguments.ts'
import { hypervHostInitrd } from './host-initrd.ts'
import { HypervHost } from './hyperv-host.ts'
import { requireHypervPackages } from './hyperv-packages.ts'
import { NODE_FOLDER, packCheckout } from './pack-checkout.ts'

const BOOT_TIMEOUT_MS = 180_000

/**
 * Boots a host that can run a nested guest, under QEMU's software emulation, and resolves when its init says that it is
 * ready. It runs a QEMU with hv-balloon, Node and this checkout. Needs `npm run setup -- --long`. Throws a LabError with the
 * end of the console when it does not get there; nothing is left then.
 */
export async function bootHypervHost({ signal }: { signal?: AbortSignal } = {}): Promise<HypervHost> {
  const packages = requireHypervPackages()
  await using cleanup = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'ullage-hyperv-'))
  const janitor = startJanitor({ paths: [folder] })
  cleanup.defer(() => janitor.clean())
  const at = (name: string): string => join(folder, name)
  const files = {
    vmlinuz: packages.vmlinuz,
    initrd: hypervHostInitrd(packages),
    console: at('console.log'),
    agentSocket: at('agent.sock'),
    guestSocket: at('guest.sock'),
    monitorSocket: at('monitor.sock'),
    machine: packages.root,
    node: NODE_FOLDER,
    share: at('share'),
  }
  mkdirSync(files.share)
  packCheckout(join(files.share, 'checkout.tar'))

  const agent = await GuestAgent.listen(files.agentSocket)
  cleanup.defer(() => agent.close('the host was disposed of'))
  const guestAgent = await GuestAgent.listen(files.guestSocket)
  cleanup.defer(() => guestAgent.close('the host was disposed of'))
  const monitorLine = connectionTo(files.monitorSocket)
  const child = spawnBound(hypervHostArguments(files), ['ignore', 'ignore', 'pipe'])
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
    throw new LabError(`the emulated host did not boot: ${why}\n${consoleText().slice(-2000)}`)
  })
  given.removeEventListener('abort', stopWaiting)
  const line = await monitorLine
  cleanup.defer(() => void line.destroy())
  return new HypervHost({ packages, agent, guestAgent, line, share: files.share, consoleText, dispose: cleanup.move() })
}

/** The one connection that is made to a socket of ours. */
async function connectionTo(path: string): Promise<Socket> {
  const server = createServer().listen(path)
  server.unref()
  const [socket] = (await once(server, 'connection')) as [Socket]
  server.close()
  return socket
}
