import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { startJanitor } from '../janitor.ts'
import { startEmulatedHost } from '../start-emulated-host.ts'
import { writeCheckoutArchive } from '../checkout-archive.ts'
import { dom0Initrd } from './dom0-initrd.ts'
import { xenArguments } from './xen-arguments.ts'
import { XenHost } from './xen-host.ts'
import { requireXenPackages } from './xen-packages.ts'

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
 * first domain has Node and this checkout as it is now, in /ullage. Needs `npm run setup -- --labs`. Throws a LabError with the end of the console
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

  const { agent, consoleText } = await startEmulatedHost({
    what: `Xen ${packages.version}`,
    argv: xenArguments(files, { memMiB, dom0MiB }),
    agentSocket: files.agentSocket,
    console: files.console,
    cleanup,
    signal,
  })
  return new XenHost({ agent, share: files.share, consoleText, dispose: cleanup.move() })
}
