import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { basename, join } from 'node:path'
import type { GuestAgent } from '../guest-agent.ts'
import { BUSYBOX } from '../guest-initrd.ts'
import { guestInit } from '../guest-init.ts'
import { cachedInitrd } from '../initrd.ts'
import { LabError } from '../lab-error.ts'
import { Monitor } from '../monitor.ts'
import type { RunResult } from '../xen-lab/xen-host.ts'
import { guestScript, type HypervGuestOptions } from './guest-script.ts'
import { HypervGuest } from './hyperv-guest.ts'
import type { HypervPackages } from './hyperv-packages.ts'

const BOOT_TIMEOUT_MS = 240_000

interface Parts {
  readonly packages: HypervPackages
  readonly agent: GuestAgent
  /** Of the guest's init, once there is a guest. */
  readonly guestAgent: GuestAgent
  /** The guest's monitor, once there is a guest. */
  readonly line: Socket
  readonly share: string
  readonly consoleText: () => string
  readonly dispose: AsyncDisposableStack
}

/** An emulated host with KVM and a QEMU with hv-balloon. It dies with this process, and takes its files with it. */
export class HypervHost implements AsyncDisposable {
  /** A folder of this machine, which the host sees as /share. */
  readonly share: string
  readonly #parts: Parts
  #runs = 0

  constructor(parts: Parts) {
    this.#parts = parts
    this.share = parts.share
  }

  /** What the host wrote to its console so far. */
  consoleText(): string {
    return this.#parts.consoleText()
  }

  /** Runs shell lines on the host (busybox), returns what they printed; throws when they fail. */
  exec(script: string): Promise<string> {
    return this.#parts.agent.exec(script)
  }

  /** Runs one command line on the host, however it ends. */
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

  /** Boots the one guest of this host and waits until its init says that it is ready and QEMU that its balloon is. */
  async bootGuest(options: HypervGuestOptions): Promise<HypervGuest> {
    const { packages, guestAgent, line } = this.#parts
    const folder = join(this.share, 'guest')
    mkdirSync(folder)
    copyFileSync(packages.guest.vmlinuz, join(folder, 'vmlinuz'))
    copyFileSync(nestedInitrd(packages), join(folder, 'initrd'))
    writeFileSync(join(folder, 'start.sh'), guestScript(options))
    const monitor = new Monitor(line, line)
    await this.exec('sh /share/guest/start.sh')
    const read = (file: string): string => readFileSync(join(folder, file), 'latin1').slice(-2000)
    const late = setTimeout(() => guestAgent.close(`not ready after ${BOOT_TIMEOUT_MS / 1000} s`), BOOT_TIMEOUT_MS)
    await guestAgent.ready.catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new LabError(`the nested guest did not boot: ${why}\n${read('qemu')}\n${read('console')}`)
    })
    clearTimeout(late)
    await monitor.command('qmp_capabilities')
    const guest = new HypervGuest({ host: this, agent: guestAgent, monitor, release: packages.guest.release, options })
    await guest.balloonReady()
    return guest
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.dispose.disposeAsync()
  }
}

function nestedInitrd({ guest }: HypervPackages): string {
  return cachedInitrd('hyperv-guest', [
    { path: 'init', text: guestInit('/dev/ttyS1') },
    { path: 'bin/busybox', from: BUSYBOX },
    ...guest.modules.map((from) => ({ path: `lib/modules/${basename(from)}`, from })),
  ])
}
