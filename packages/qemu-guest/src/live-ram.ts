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

/** A piece of QEMU's memory that guest RAM lies in: a memory backend, or a page that QEMU lays over one. */
interface Piece {
  readonly addressBytes: number
  readonly sizeBytes: number
}

/**
 * Asks QEMU for the layout of guest RAM and opens the host's memory behind it: the flat view tells which part of which
 * backend is where, `gpa2hva` where the backend lies in QEMU's own address space, the process map what is mapped there.
 */
export async function openLiveRam(client: QmpClient, process: HostProcess, options: CommandOptions): Promise<LiveRam> {
  const [known, view] = await Promise.all([memoryBackends(client, options), flatView(client, options)])
  const { regions, notDumped } = guestRam(view, known)
  if (regions.length === 0) {
    throw new OfflineError('UNSUPPORTED', `expected guest RAM in the flat view of ${client.socketPath}, found none`)
  }
  const pieces = await piecesOf(client, regions, { ...options, backends: known })
  const sources = new Map<string, RamSource>()
  try {
    for (const [name, piece] of pieces) sources.set(name, openProcessRam(process, piece))
    const ram = new GuestRam(regions.map((region) => toHostRegion(region, sources)))
    const others = notDumped.map(({ name, startBytes, sizeBytes }) => ({ name, startBytes, sizeBytes }))
    const backends = known.flatMap((backend) => {
      const source = sources.get(backend.id)
      return source ? [{ backend, source }] : []
    })
    return { ram, notDumped: others, backends }
  } catch (error) {
    for (const source of sources.values()) source[Symbol.dispose]()
    throw error
  }
}

/** Where each piece begins in QEMU's address space: every region of it must say the same. */
async function piecesOf(
  client: QmpClient,
  regions: readonly RamRegion[],
  options: CommandOptions & { readonly backends: readonly MemoryBackend[] },
): Promise<Map<string, Piece>> {
  const pieces = new Map<string, Piece>()
  const addresses = await Promise.all(regions.map((region) => hostAddress(client, region, options)))
  for (const [i, region] of regions.entries()) {
    const addressBytes = (addresses[i] as number) - region.offsetBytes
    const before = pieces.get(region.name)?.addressBytes
    if (before !== undefined && before !== addressBytes) {
      const found = `0x${before.toString(16)} and 0x${addressBytes.toString(16)}`
      throw new OfflineError('CORRUPT', `expected ${region.name} in one piece in qemu's memory, found it at ${found}`)
    }
    const backend = options.backends.find(({ id }) => id === region.name)
    pieces.set(region.name, { addressBytes, sizeBytes: backend?.sizeBytes ?? region.sizeBytes })
  }
  return pieces
}

function toHostRegion(region: RamRegion, sources: ReadonlyMap<string, RamSource>): HostRegion {
  const source = sources.get(region.name)
  if (!source) throw new OfflineError('CORRUPT', `expected memory behind ${region.name}, found none`)
  const { name, startBytes, sizeBytes, offsetBytes } = region
  return { name, gpaBytes: startBytes, sizeBytes, source, sourceOffsetBytes: offsetBytes }
}
