import { readFileSync, statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { GuestRam, openFileRam, parseBackingFile, type RamRegion } from '@ullage/host-memory'
import { fileGuest, OfflineError, type OpenGuest, throwIfAborted } from '@ullage/offline-query'
import { type NotesElf, readNotesElf } from '@ullage/qemu'
import { machineOf, OpenedRam, translated } from '@ullage/qemu-guest'
import type { FilesSource, OpenVirtioBalloonOptions } from './virtio-balloon-source.ts'

const MAX_NOTES_BYTES = 256 * 1024 * 1024
/** About ten million ranges. */
const MAX_BACKING_BYTES = 256 * 1024 * 1024

/** Opens a guest whose RAM is in files. Throws OfflineError, mostly INVALID with the file and what is wrong with it. */
export function openFiles(source: FilesSource, options: OpenVirtioBalloonOptions): OpenGuest {
  throwIfAborted(options.signal)
  const at = (path: string): string => resolve(options.baseDir, path)
  const notes = source.notes === undefined ? undefined : readNotes(at(source.notes))
  const ram = new OpenedRam(
    'files',
    translated('files', () => openRegions(source, at)),
    [],
  )
  const warnings = notes
    ? []
    : [
        {
          code: 'NO_NOTES',
          text: 'no notes were given: VMCOREINFO is searched for in memory, CPU registers are missing',
        },
      ]
  return fileGuest({
    backend: 'virtio-balloon',
    machine: machineOf(notes),
    memory: ram,
    notes: { elfNotes: notes?.elfNotes ?? new Uint8Array(0), cpus: notes?.cpus ?? 0 },
    warnings,
  })
}

function openRegions(source: FilesSource, at: (path: string) => string): GuestRam {
  if (source.regions.length === 0) {
    throw new OfflineError('INVALID', 'expected at least one region of guest memory, found none')
  }
  const backing = source.backing === undefined ? undefined : at(source.backing)
  const count = source.regions.length
  const data =
    backing === undefined ? undefined : parseBackingFile(readBacking(backing), { about: backing, regions: count })
  const regions: RamRegion[] = []
  try {
    source.regions.forEach((region, i) => {
      const ranges = data?.[i]
      const path = at(region.file)
      const part = { path, offsetBytes: region.offset, sizeBytes: region.size }
      const ram = openFileRam(ranges === undefined ? part : { ...part, data: ranges })
      const name = basename(region.file)
      regions.push({ name, gpaBytes: region.gpa, sizeBytes: region.size, source: ram, sourceOffsetBytes: 0 })
    })
    return new GuestRam(regions)
  } catch (error) {
    for (const { source } of regions) source[Symbol.dispose]()
    throw error
  }
}

function readNotes(path: string): NotesElf {
  const bytes = readBounded(path, MAX_NOTES_BYTES, 'an elf core with notes')
  try {
    return readNotesElf(bytes, path)
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause
    throw new OfflineError('INVALID', cause.message, { cause })
  }
}

function readBacking(path: string): Buffer {
  return readBounded(path, MAX_BACKING_BYTES, 'a backing map')
}

function readBounded(path: string, maxBytes: number, what: string): Buffer {
  try {
    const stat = statSync(path)
    if (!stat.isFile() || stat.size > maxBytes) {
      const found = stat.isFile() ? `${stat.size} bytes` : 'something that is no file'
      throw new OfflineError('INVALID', `expected ${what} of at most ${maxBytes} bytes at ${path}, found ${found}`)
    }
    return readFileSync(path)
  } catch (cause) {
    if (cause instanceof OfflineError || !(cause instanceof Error)) throw cause
    throw new OfflineError('INVALID', `expected ${what} at ${path}, found: ${cause.message}`, { cause })
  }
}
