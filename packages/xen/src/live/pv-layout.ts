import { setImmediate } from 'node:timers/promises'
import { OfflineError, throwIfAborted } from '@ullage/offline-query'
import { invertRuns } from '../invert-runs.ts'
import { isPlausibleEnd } from '../guest-ram.ts'
import type { DomainLayout } from './domain-layout.ts'
import type { ToldRam } from './find-domain.ts'
import type { DomainInfo, Hypervisor } from './hypervisor.ts'
import { readP2m } from './pv-p2m.ts'
import { readSharedInfo, type SharedInfo } from './pv-shared-info.ts'

const MOST_TRIES = 3

/**
 * Finds guest RAM of a PV domain: what its own p2m speaks of, from frame 0 to `arch.max_pfn` of its shared info. The table is the
 * guest's word: whether a machine frame in it is the domain's, the hypervisor decides whenever it is asked about or mapped.
 */
export function pvLayout(
  hypervisor: Hypervisor,
  told: ToldRam | undefined,
): (info: DomainInfo, signal: AbortSignal | undefined) => Promise<DomainLayout> {
  return (info, signal) => readLayout(hypervisor, info, { mostFrames: told?.frames, signal })
}

async function readLayout(
  hypervisor: Hypervisor,
  info: DomainInfo,
  options: { mostFrames: number | undefined; signal: AbortSignal | undefined },
): Promise<DomainLayout> {
  for (let tries = 1; ; tries++) {
    const shared = readSharedInfo(hypervisor, info)
    const end = endOfRam(shared, info, options.mostFrames)
    const p2m = await readP2m(hypervisor, info.domid, { shared, frames: end, signal: options.signal })
    // A guest that runs may have moved its tables meanwhile: it counts such changes.
    const again = readSharedInfo(hypervisor, info)
    const moved = again.p2mGeneration !== shared.p2mGeneration || again.maxPfn !== shared.maxPfn
    if (moved && tries < MOST_TRIES) {
      await setImmediate()
      throwIfAborted(options.signal)
      continue
    }
    const { runs: pfns, repeated } = invertRuns(p2m.machine)
    return {
      extents: [{ name: 'ram', start: 0, count: end }],
      frameOf: (pfn) => p2m.machine.get(pfn),
      toPfn: (gfn) => pfns.get(gfn),
      warnings: [
        ...(moved ? [{ code: 'P2M_CHANGING', text: 'the domain kept changing its p2m while it was read' }] : []),
        ...(repeated > 0
          ? [
              {
                code: 'MACHINE_FRAMES_SHARED',
                text: `${repeated} machine frames stand behind more than one frame of the guest: page tables are followed to the first`,
              },
            ]
          : []),
      ],
    }
  }
}

function endOfRam({ maxPfn }: SharedInfo, info: DomainInfo, mostFrames = 0): number {
  if (maxPfn === 0) {
    throw new OfflineError(
      'UNSUPPORTED',
      `expected a p2m in the shared info of domain ${info.domid}, found none: its kernel has not set it up yet; try again when it has booted`,
    )
  }
  if (Number.isSafeInteger(maxPfn) && isPlausibleEnd(maxPfn, Math.max(info.totalFrames, mostFrames))) return maxPfn
  throw new OfflineError(
    'CORRUPT',
    `expected the end of RAM in the shared info of domain ${info.domid}, found frame ${maxPfn}, more than a guest with ${info.totalFrames} frames can have`,
  )
}
