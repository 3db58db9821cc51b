import type { FlatRange } from './flat-view.ts'
import type { MemoryBackend } from './memory-backends.ts'
import { QemuError } from './qemu-error.ts'

/** A contiguous piece of guest RAM: guest physical range and place in its backend. All numbers count bytes. */
export interface RamRegion {
  readonly startBytes: number
  readonly sizeBytes: number
  /** Id of the memory backend. */
  readonly name: string
  /** Where in the backend it begins. */
  readonly offsetBytes: number
}

export interface GuestRam {
  /** Ascending, disjoint; neighbours that continue each other in the same backend are one. */
  readonly regions: readonly RamRegion[]
  /** Memory that is shown to the guest and is not its RAM: video RAM, firmware, NVDIMMs, devices. Ascending. */
  readonly notDumped: readonly FlatRange[]
}

/**
 * Guest RAM is every range of the flat view that is named after a memory backend and shown as `ram`, or as `rom`, which
 * the areas below 1 MiB that a PC's firmware has write-protected (PAM) are. Everything else is listed.
 */
export function guestRam(ranges: readonly FlatRange[], backends: readonly MemoryBackend[]): GuestRam {
  const regions: RamRegion[] = []
  const notDumped: FlatRange[] = []
  for (const range of ranges) {
    const backend = range.kind === 'ram' || range.kind === 'rom' ? backendOf(range, backends) : undefined
    if (!backend) {
      notDumped.push(range)
      continue
    }
    if (range.offsetBytes + range.sizeBytes > backend.sizeBytes) {
      const where = `0x${range.startBytes.toString(16)}`
      const found = `${range.offsetBytes + range.sizeBytes} bytes of ${backend.sizeBytes}`
      throw new QemuError('UNEXPECTED_ANSWER', `expected ${backend.id} at ${where} inside its backend, found ${found}`)
    }
    addRegion(regions, { ...toRegion(range), name: backend.id })
  }
  return { regions, notDumped }
}

function toRegion({ startBytes, sizeBytes, name, offsetBytes }: FlatRange): RamRegion {
  return { startBytes, sizeBytes, name, offsetBytes }
}

function addRegion(regions: RamRegion[], next: RamRegion): void {
  const last = regions.at(-1)
  const continues =
    last?.name === next.name &&
    last.startBytes + last.sizeBytes === next.startBytes &&
    last.offsetBytes + last.sizeBytes === next.offsetBytes
  if (last && continues) regions.splice(-1, 1, { ...last, sizeBytes: last.sizeBytes + next.sizeBytes })
  else regions.push(next)
}

/** Machine types older than 4.0 name regions by the canonical path of their backend (x-use-canonical-path-for-ramblock-id). */
function backendOf(range: FlatRange, backends: readonly MemoryBackend[]): MemoryBackend | undefined {
  return backends.find(({ id }) => range.name === id || range.name === `/objects/${id}`)
}
