import { openHostProcess } from '@ullage/host-memory'
import type { OpenGuest } from '@ullage/offline-query'
import { lockGuest, QmpClient, qemuProcess, queryTarget, refuseUnsuitable } from '@ullage/qemu'
import { LiveGuest } from './live-guest.ts'
import { openLiveRam } from './live-ram.ts'
import { liveWarnings } from './live-warnings.ts'
import { machineOfTarget } from './machine-of.ts'
import { OpenResources } from './open-resources.ts'
import { OpenedRam } from './opened-ram.ts'
import { translatedAsync } from './to-offline-error.ts'
import type { OpenVirtioBalloonOptions } from './virtio-balloon-source.ts'

/** Opens a live guest: locks it on this host, connects to its monitor, finds its memory. Throws OfflineError. */
export async function openLive(socketPath: string, options: OpenVirtioBalloonOptions): Promise<OpenGuest> {
  const { stateDir, signal } = options
  return translatedAsync(async () => {
    await using opened = new OpenResources()
    const lock = opened.use(lockGuest(socketPath, { stateDir }))
    const client = opened.use(await QmpClient.connect(socketPath, { signal }))
    await refuseUnsuitable(client, { signal })
    const machine = machineOfTarget(await queryTarget(client, { signal }))
    const process = opened.use(openHostProcess((await qemuProcess(client, { signal })).pid))
    const live = await openLiveRam(client, process, { signal })
    const ram = new OpenedRam('live', live.ram, live.notDumped)
    opened.defer(() => ram.close())
    const warnings = await liveWarnings(client, live, { signal })
    const resources = opened.move()
    return new LiveGuest({ machine, client, process, ram, warnings, lockFd: lock.fd, options, resources })
  }, signal)
}
