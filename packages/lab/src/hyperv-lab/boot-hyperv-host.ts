import { once } from 'node:events'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeCheckoutArchive } from '../checkout-archive.ts'
import { GuestAgent } from '../guest-agent.ts'
import { startJanitor } from '../janitor.ts'
import { startEmulatedHost } from '../start-emulated-host.ts'
import { hypervHostArguments } from './host-arguments.ts'
import { hypervHostInitrd } from './host-initrd.ts'
import { HypervHost } from './hyperv-host.ts'
import { requireHypervPackages } from './hyperv-packages.ts'

const CHECKOUT = join(import.meta.dirname, '../../../..')

/**
 * Boots a host that can run a nested guest, under QEMU's software emulation, and resolves when its init says that it is
 * ready. It runs a QEMU with hv-balloon, Node and this checkout. Needs `npm run setup -- --labs`. Throws a LabError with the
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
    node: join(CHECKOUT, 'node_modules/node/bin'),
    share: at('share'),
  }
  mkdirSync(files.share)
  writeCheckoutArchive(CHECKOUT, join(files.share, 'checkout.tar'))

  const guestAgent = await GuestAgent.listen(files.guestSocket)
  cleanup.defer(() => guestAgent.close('the host was disposed of'))
  const monitorLine = connectionTo(files.monitorSocket)
  const { agent, consoleText } = await startEmulatedHost({
    what: 'the host with nested KVM',
    argv: hypervHostArguments(files),
    agentSocket: files.agentSocket,
    console: files.console,
    cleanup,
    signal,
  })
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
