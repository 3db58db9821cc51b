import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { requireEra } from '../era.ts'
import { EmulatedHost } from '../emulated-host.ts'
import { guestInitrd } from '../guest-initrd.ts'
import type { EraName } from '../guest-options.ts'
import { DomainAgent } from './domain-agent.ts'
import { type DomainFigures, parseDomainFigures } from './domain-figures.ts'
import { XenDomain } from './xen-domain.ts'

export interface DomainOptions {
  readonly name: string
  readonly type: 'pv' | 'pvh'
  readonly era: EraName
  readonly memMiB: number
  /** More than `memMiB` gives PV a hole above it and PVH populate-on-demand; the same when left out. */
  readonly maxMemMiB?: number
  /** 1 when left out. */
  readonly cpus?: number
  /** Added to the kernel command line. */
  readonly append?: string
}

/** A real Xen with its first domain, under emulation: `exec` and `run` are in the first domain, which has `xl`. */
export class XenHost extends EmulatedHost {
  /** Makes a guest that has not run yet. */
  async createPaused(options: DomainOptions): Promise<XenDomain> {
    const { name, type, memMiB, maxMemMiB = memMiB, cpus = 1, append = '' } = options
    const era = requireEra(options.era)
    const folder = join(this.share, 'guests', name)
    mkdirSync(folder, { recursive: true })
    const copy = (path: string): string => {
      copyFileSync(path, join(folder, basename(path)))
      return `/share/guests/${name}/${basename(path)}`
    }
    const config = {
      name,
      type,
      kernel: copy(era.vmlinuz),
      ramdisk: copy(guestInitrd(era, '/dev/hvc0')),
      cmdline: `console=hvc0 quiet loglevel=1 panic=0 ${append}`.trim(),
      memory: memMiB,
      maxmem: maxMemMiB,
      vcpus: cpus,
      on_crash: 'preserve',
      on_reboot: 'preserve',
      on_poweroff: 'preserve',
    }
    const lines = Object.entries(config).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
    writeFileSync(join(folder, 'xl.cfg'), `${lines.join('\n')}\n`)
    const domainId = Number(await this.exec(`xl create -q -p /share/guests/${name}/xl.cfg && xl domid ${name}`))
    const tty = (await this.exec(`xenstore-read /local/domain/${domainId}/console/tty`)).trim()
    const agent = new DomainAgent(join(this.share, 'console', `guest-${name}.log`), (line) =>
      this.exec(`echo '${line}' > ${tty}`),
    )
    return new XenDomain({ name, domainId, type, era, host: this, agent })
  }

  /** Makes a guest, boots it and waits until its init says that it is ready. */
  async boot(options: DomainOptions): Promise<XenDomain> {
    const domain = await this.createPaused(options)
    await domain.unpause()
    await domain.ready()
    return domain
  }

  /** What the hypervisor says of its domains when its debug key `q` is pressed: by domain number. */
  async figures(): Promise<ReadonlyMap<number, DomainFigures>> {
    return parseDomainFigures(await this.exec('xl dmesg -c > /dev/null; xl debug-keys q; xl dmesg -c'))
  }
}
