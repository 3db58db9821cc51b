import type { FlatRange } from './flat-view.ts'
import type { MemoryBackend } from './memory-backends.ts'
import { QemuError } from './qemu-error.ts'

/** A contiguous piece of guest RAM: guest physical range and place in its backend. All numbers count bytes. */
export interface RamRegion {
  readonly startBytes: number
  readonly sizeBytes: number
  /** Id of the memory backend, or the name of a page that QEMU lays over it. */
  readonly name: string
  /** Where in that memory it begins. */
  readonly offsetBytes: number
}

export interface GuestRam {
  /** Ascending, disjoint; neighbours that continue each other in the same backend are one. */
  readonly regions: readonly RamRegion[]
  /** Memory that is shown to the guest and is not its RAM: video RAM, firmware, NVDIMMs, devices. Ascending. */
  readonly notDumped: readonly FlatRange[]
}

/** Pages that QEMU shows instead of RAM where the guest puts its SynIC's messages and events (QEMU hw/hyperv/hyperv.c). */
const SYNIC_PAGE = /^synic-\d+-(msg|event)-page$/
const SYNIC_PAGE_BYTES = 4096

/**
 * Guest RAM is every range of the flat view that is named after a memory backend and shown as `ram`, or as `rom`, which
 * the areas below 1 MiB that a PC's firmware has write-protected (PAM) are; and SynIC pages that lie over such a range, for
 * the guest sees and uses them in its stead. Everything else is listed.
 */
export function guestRam(ranges: readonly FlatRange[], backends: readonly MemoryBackend[]): GuestRam {
  const regions: RamRegion[] = []
  const notDumped: FlatRange[] = []
  ranges.forEach((range, index) => {
    const backend = backendOf(range, backends)
    if (backend) addRegion(regions, { ...checked(range, backend), name: backend.id })
    else if (isSynicPage(range) && liesOverBackend(ranges, index, backends)) regions.push(toRegion(range))
    else notDumped.push(range)
  })
  return { regions, notDumped }
}

function checked(range: FlatRange, backend: MemoryBackend): RamRegion {
  if (range.offsetBytes + range.sizeBytes > backend.sizeBytes) {
    const where = `0x${range.startBytes.toString(16)}`
    const found = `${range.offsetBytes + range.sizeBytes} bytes of ${backend.sizeBytes}`
    throw new QemuError('UNEXPECTED_ANSWER', `expected ${backend.id} at ${where} inside its backend, found ${found}`)
  }
  return toRegion(range)
}

function isSynicPage({ kind, name, sizeBytes }: FlatRange): boolean {
  return kind === 'ram' && sizeBytes === SYNIC_PAGE_BYTES && SYNIC_PAGE.test(name)
}

/** Whether the RAM on one side, further SynIC pages between, goes on behind the page: a guest may put one anywhere. */
function liesOverBackend(ranges: readonly FlatRange[], index: number, backends: readonly MemoryBackend[]): boolean {
  const page = ranges[index] as FlatRange
  for (const step of [-1, 1]) {
    let edge = page
    for (let at = index + step; ; at += step) {
      const next = ranges[at]
      if (!next || (step < 0 ? endBytes(next) !== edge.startBytes : next.startBytes !== endBytes(edge))) break
      const backend = backendOf(next, backends)
      const offset = next.offsetBytes + (page.startBytes - next.startBytes)
      if (backend && offset >= 0 && offset + page.sizeBytes <= backend.sizeBytes) return true
      if (!isSynicPage(next)) break
      edge = next
    }
  }
  return false
}

function endBytes({ startBytes, sizeBytes }: FlatRange): number {
  return startBytes + sizeBytes
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
  if (range.kind !== 'ram' && range.kind !== 'rom') return undefined
  return backends.find(({ id }) => range.name === id || range.name === `/objects/${id}`)
}
