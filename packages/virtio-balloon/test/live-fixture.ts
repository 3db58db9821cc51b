import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { LabGuest } from '@ullage/lab'
import type { BackingRun, OpenGuest } from '@ullage/offline-query'
import type { ConformanceFixture, GuestTruth } from '@ullage/offline-query/conformance'
import { openVirtioBalloon } from '@ullage/virtio-balloon'

export const FRAME_BYTES = 4096
export const MIB_FRAMES = 256

/** Where a part of a RAM file appears in the guest, in frames. */
export interface Placed {
  readonly start: number
  readonly count: number
  /** Index of the file, and the frame of it where the part begins. */
  readonly file: number
  readonly at: number
}

export function openLab(guest: LabGuest): Promise<OpenGuest> {
  return openVirtioBalloon(
    { kind: 'qmp', socket: guest.qmpSocket },
    { baseDir: '/', stateDir: join(guest.folder, 'state') },
  )
}

/** Truth of a stopped guest from its files alone: their holes as another program sees them, their content read by path. */
export function truthOfFiles(guest: LabGuest, layout: readonly Placed[]): GuestTruth {
  const files = guest.backedRanges()
  const states = layout.flatMap(({ start, count, file, at }): BackingRun[] =>
    (files[file]?.ranges ?? []).flatMap(({ startByte, endByte }) => {
      const first = Math.max(startByte / FRAME_BYTES, at)
      const last = Math.min(endByte / FRAME_BYTES, at + count)
      return last > first ? [{ start: start + first - at, count: last - first, state: 'backed' }] : []
    }),
  )
  return {
    states,
    content: (pfn) => {
      const part = layout.find(({ start, count }) => start <= pfn && pfn < start + count)
      if (!part) throw new RangeError(`frame ${pfn} is not in the layout`)
      return readAt(guest.ramFiles[part.file] ?? '', (pfn - part.start + part.at) * FRAME_BYTES, FRAME_BYTES)
    },
  }
}

/**
 * Truth of a stopped guest whose memory no file holds, from /proc/PID/pagemap: an entry with bit 63 is present, one with
 * bit 62 is swapped (Linux Documentation/admin-guide/mm/pagemap.rst). `hva`: address of the memory in QEMU, in bytes.
 */
export function truthOfProcess(guest: LabGuest, layout: readonly Placed[], hva: number): GuestTruth {
  const states = layout.flatMap(({ start, count, at }): BackingRun[] => {
    const entries = readAt(`/proc/${guest.pid}/pagemap`, (hva / FRAME_BYTES + at) * 8, count * 8)
    return Array.from({ length: count }, (_, i): BackingRun[] => {
      const flags = entries[i * 8 + 7] ?? 0
      if ((flags & 0xc0) === 0) return []
      return [{ start: start + i, count: 1, state: (flags & 0x40) === 0 ? 'backed' : 'swapped' }]
    }).flat()
  })
  return {
    states,
    content: (pfn) => {
      const part = layout.find(({ start, count }) => start <= pfn && pfn < start + count)
      if (!part) throw new RangeError(`frame ${pfn} is not in the layout`)
      return readAt(`/proc/${guest.pid}/mem`, hva + (pfn - part.start + part.at) * FRAME_BYTES, FRAME_BYTES)
    },
  }
}

/** A fixture of the conformance suite around a stopped guest. */
export async function liveFixture(guest: LabGuest, truth: GuestTruth): Promise<ConformanceFixture> {
  return {
    guest: await openLab(guest),
    truth,
    heldOpen: () => readdirSync('/proc/self/fd').length,
  }
}

export function readAt(path: string, offsetBytes: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes)
  const fd = openSync(path, 'r')
  try {
    const count = readSync(fd, bytes, 0, sizeBytes, offsetBytes)
    if (count !== sizeBytes) throw new Error(`read ${count} of ${sizeBytes} bytes of ${path}`)
    return bytes
  } finally {
    closeSync(fd)
  }
}
