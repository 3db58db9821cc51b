import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { requireEra } from '../era.ts'
import type { GuestAgent } from '../guest-agent.ts'
import { guestInitrd } from '../guest-initrd.ts'
import type { EraName } from '../guest-options.ts'
import { LabError } from '../lab-error.ts'
import { DomainAgent } from './domain-agent.ts'
import { type DomainFigures, parseDomainFigures } from './domain-figures.ts'
import { XenDomain } from './xen-domain.ts'

interface Parts {
  readonly agent: GuestAgent
  readonly share: string
  readonly consoleText: () => string
  readonly dispose: AsyncDisposableStack
}

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

/** How a program ended in the first domain. */
export interface RunResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  /** By the first domain's clock, start of the program included. */
  readonly seconds: number
}

/** A real Xen with its first domain, under emulation. It dies with this process, and takes its files with it. */
export class XenHost implements AsyncDisposable {
  /** A folder of this machine, which the first domain sees as /share. */
  readonly share: string
  readonly #parts: Parts
  #runs = 0

  constructor(parts: Parts) {
    this.#parts = parts
    this.share = parts.share
  }

  /** What Xen and the first domain wrote to their console so far. */
  consoleText(): string {
    return this.#parts.consoleText()
  }

  /** Runs shell lines in the first domain (busybox, xl), returns what they printed; throws when they fail. */
  exec(script: string): Promise<string> {
    return this.#parts.agent.exec(script)
  }

  /** Runs one command line in the first domain, however it ends. */
  async run(commandLine: string): Promise<RunResult> {
    const name = `run-${++this.#runs}`
    const at = (file: string): string => join(this.share, file)
    writeFileSync(at(`${name}.sh`), `${commandLine}\n`)
    const script = `a=$(cut -d' ' -f1 /proc/uptime); sh ${name}.sh > ${name}.out 2> ${name}.err; status=$?
echo $status $a $(cut -d' ' -f1 /proc/uptime)`
    const [status, start, end] = (await this.exec(script)).trim().split(' ').map(Number)
    const read = (file: string): string => readFileSync(at(file), 'utf8')
    if (status === undefined || start === undefined || end === undefined) throw new LabError(`${name} has no status`)
    return { status, stdout: read(`${name}.out`), stderr: read(`${name}.err`), seconds: end - start }
  }

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

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.dispose.disposeAsync()
  }
}
