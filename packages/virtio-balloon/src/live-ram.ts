import {
  GuestRam,
  type HostProcess,
  openProcessRam,
  type RamRegion as HostRegion,
  type RamSource,
} from '@ullage/host-memory'
import { type NotDumped, OfflineError } from '@ullage/offline-query'
import {
  type CommandOptions,
  flatView,
  guestRam,
  hostAddress,
  type MemoryBackend,
  memoryBackends,
  type QmpClient,
  type RamRegion,
} from '@ullage/qemu'

/** RAM of a live guest as it is laid out now. */
export interface LiveRam {
  readonly ram: GuestRam
  readonly notDumped: readonly NotDumped[]
  /** The backends that hold guest RAM, each with how it is read. */
  readonly backends: readonly { readonly backend: MemoryBackend; readonly source: RamSource }[]
}

/**
 * Asks QEMU for the layout of guest RAM and opens the host's memory behind it: the flat view tells which part of which
 * backend is where, `gpa2hva` where the backend lies in QEMU's own address space, the process map what is mapped there.
 */
export async function openLiveRam(client: QmpClient, process: HostProcess, options: CommandOptions): Promise<LiveRam> {
  const known = await memoryBackends(client, options)
  const { regions, notDumped } = guestRam(await flatView(client, options), known)
  if (regions.length === 0) {
    throw new OfflineError('UNSUPPORTED', `expected guest RAM in the flat view of ${client.socketPath}, found none`)
  }
  const addresses = await backendAddresses(client, regions, options)
  const backends: { backend: MemoryBackend; source: RamSource }[] = []
  try {
    for (const backend of known) {
      const addressBytes = addresses.get(backend.id)
      if (addressBytes === undefined) continue
      backends.push({ backend, source: openProcessRam(process, { addressBytes, sizeBytes: backend.sizeBytes }) })
    }
    const ram = new GuestRam(regions.map((region) => toHostRegion(region, backends)))
    const others = notDumped.map(({ name, startBytes, sizeBytes }) => ({ name, startBytes, sizeBytes }))
    return { ram, notDumped: others, backends }
  } catch (error) {
    for (const { source } of backends) source[Symbol.dispose]()
    throw error
  }
}

/** Where each backend begins in QEMU's address space: every region of it must say the same. */
async function backendAddresses(
  client: QmpClient,
  regions: readonly RamRegion[],
  options: CommandOptions,
): Promise<Map<string, number>> {
  const addresses = new Map<string, number>()
  for (const region of regions) {
    const address = (await hostAddress(client, region, options)) - region.offsetBytes
    const before = addresses.get(region.name)
    if (before !== undefined && before !== address) {
      const found = `0x${before.toString(16)} and 0x${address.toString(16)}`
      throw new OfflineError('CORRUPT', `expected ${region.name} in one piece in qemu's memory, found it at ${found}`)
    }
    addresses.set(region.name, address)
  }
  return addresses
}

function toHostRegion(region: RamRegion, backends: LiveRam['backends']): HostRegion {
  const source = backends.find(({ backend }) => backend.id === region.name)?.source
  if (!source) throw new OfflineError('CORRUPT', `expected a memory backend ${region.name}, found none`)
  const { name, startBytes, sizeBytes, offsetBytes } = region
  return { name, gpaBytes: startBytes, sizeBytes, source, sourceOffsetBytes: offsetBytes }
}
