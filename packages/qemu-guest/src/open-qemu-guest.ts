import { openHostProcess } from '@ullage/host-memory'
import type { OpenGuest } from '@ullage/offline-query'
import {
  guestStatus,
  lockGuest,
  QmpClient,
  qemuProcess,
  queryTarget,
  refuseUnsuitable,
  startGuardian,
} from '@ullage/qemu'
import { openLiveRam } from './live-ram.ts'
import { type BalloonTraits, liveWarnings } from './live-warnings.ts'
import { machineOfTarget } from './machine-of.ts'
import { OpenResources } from './open-resources.ts'
import { OpenedRam } from './opened-ram.ts'
import { QemuGuest } from './qemu-guest.ts'
import type { SecondWitness } from './second-witness.ts'
import { translatedAsync } from './to-offline-error.ts'

export interface OpenQemuGuestOptions {
  /** Name of the backend, as in a guest descriptor. */
  readonly backend: string
  readonly balloon: BalloonTraits
  /** Folder for what must outlive this process: locks, and records of guests that are paused. Made when missing. */
  readonly stateDir: string
  readonly signal?: AbortSignal | undefined
  /** How the guardian of a paused guest is started; see the README of `@ullage/qemu`. */
  readonly guardianScope?: 'session' | 'systemd' | undefined
  /** The guest is going to be paused: what guards it then is started at once. */
  readonly pauses?: boolean | undefined
  /** Opens what else knows of the host's word. */
  readonly witness?: ((client: QmpClient) => Promise<SecondWitness>) | undefined
}

/** Opens a live guest: locks it on this host, connects to its monitor, finds its memory. Throws OfflineError. */
export async function openQemuGuest(socketPath: string, options: OpenQemuGuestOptions): Promise<OpenGuest> {
  const { stateDir, signal, balloon, guardianScope: scope } = options
  return translatedAsync(async () => {
    await using opened = new OpenResources()
    const lock = opened.use(lockGuest(socketPath, { stateDir }))
    const client = opened.use(await QmpClient.connect(socketPath, { signal }))
    const isToPause = options.pauses === true && (await guestStatus(client)) === 'running'
    const guardian = isToPause ? startGuardian(socketPath, { stateDir, lockFd: lock.fd, scope }) : undefined
    opened.defer(() => guardian?.disarm())
    const [target, { pid }] = await Promise.all([
      queryTarget(client, { signal }),
      qemuProcess(client, { signal }),
      refuseUnsuitable(client, { signal }),
    ])
    const machine = machineOfTarget(target)
    const process = opened.use(openHostProcess(pid))
    const live = await openLiveRam(client, process, { signal })
    const witness = await options.witness?.(client).catch((error: unknown) => {
      live.ram[Symbol.dispose]()
      throw error
    })
    if (witness) opened.use(witness)
    const ram = new OpenedRam('live', live.ram, live.notDumped, (runs) => witness?.refine(runs) ?? runs)
    opened.defer(() => ram.close())
    const warnings = await liveWarnings(client, live, { signal, balloon })
    const told = (await witness?.look({ client, ram: live.ram, signal })) ?? []
    const resources = opened.move()
    const lockFd = lock.fd
    const parts = { machine, client, process, ram, warnings, witness, told, lockFd, guardian, options, resources }
    return new QemuGuest(parts)
  }, signal)
}
