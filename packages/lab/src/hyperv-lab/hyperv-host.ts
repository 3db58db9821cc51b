import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { basename, join } from 'node:path'
import { answerWithin } from '../answer-within.ts'
import { EmulatedHost, type EmulatedHostParts } from '../emulated-host.ts'
import type { GuestAgent } from '../guest-agent.ts'
import { BUSYBOX } from '../guest-initrd.ts'
import { guestInit } from '../guest-init.ts'
import { cachedInitrd } from '../initrd.ts'
import { LabError } from '../lab-error.ts'
import { Monitor } from '../monitor.ts'
import { guestScript, type HypervGuestOptions } from './guest-script.ts'
import { HypervGuest } from './hyperv-guest.ts'
import type { HypervPackages } from './hyperv-packages.ts'

const BOOT_TIMEOUT_MS = 240_000
/** Of a single script, `ullage` included. */
const ANSWER_TIMEOUT_MS = 420_000

interface Parts extends EmulatedHostParts {
  readonly packages: HypervPackages
  /** Of the guest's init, once there is a guest. */
  readonly guestAgent: GuestAgent
  /** The guest's monitor, once there is a guest. */
  readonly line: Socket
}

/** An emulated host with KVM and a QEMU with hv-balloon. */
export class HypervHost extends EmulatedHost {
  readonly #parts: Parts

  constructor(parts: Parts) {
    super(parts)
    this.#parts = parts
  }

  override exec(script: string): Promise<string> {
    return answerWithin(ANSWER_TIMEOUT_MS, this.#parts.agent, super.exec(script))
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
}

function nestedInitrd({ guest }: HypervPackages): string {
  return cachedInitrd('hyperv-guest', [
    { path: 'init', text: guestInit('/dev/ttyS1') },
    { path: 'bin/busybox', from: BUSYBOX },
    ...guest.modules.map((from) => ({ path: `lib/modules/${basename(from)}`, from })),
  ])
}
