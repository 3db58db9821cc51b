import { basename, resolve } from 'node:path'
import { GuestRam, openFileRam, parseBackingFile, type RamRegion } from '@ullage/host-memory'
import { fileGuest, type MemoryDevices, OfflineError, type OpenGuest, throwIfAborted } from '@ullage/offline-query'
import { countFrames, type PfnRange } from '@ullage/pages'
import { dmHostWord } from './dm-host-word.ts'
import type { DmRanges } from './dm-ranges.ts'
import { backedFramesOf, FilesMemory, translated } from './files-memory.ts'
import type { FilesSource, OpenHypervOptions } from './hyperv-source.ts'
import { readBounded } from './read-bounded.ts'
import { readChannel } from './read-channel.ts'
import { RamFrames } from './ram-frames.ts'
import { MAX_RANGES_BYTES, readDmRanges } from './read-dm-ranges.ts'
import { readNotes } from './read-notes.ts'

type Warning = OpenGuest['warnings'][number]

/**
 * Opens a guest whose RAM is in files. Throws OfflineError, mostly INVALID with the file and what is wrong with it, or
 * AbortError.
 */
export async function openFiles(source: FilesSource, options: OpenHypervOptions): Promise<OpenGuest> {
  const { signal } = options
  throwIfAborted(signal)
  if (source.ranges === undefined && source.messages === undefined && source.backing === undefined) {
    throw new OfflineError(
      'INVALID',
      'expected at least one of "ranges", "messages" and "backing", which say what the host has no memory for, found none',
    )
  }
  const at = (path: string): string => resolve(options.baseDir, path)
  const notes = source.notes === undefined ? undefined : readNotes(at(source.notes))
  const ram = translated(() => openRegions(source, at))
  try {
    const regions = ram.regions.map(({ gpaBytes, sizeBytes }) => ({
      start: gpaBytes / ram.frameBytes,
      count: sizeBytes / ram.frameBytes,
    }))
    const warnings: Warning[] = notes ? [] : [NO_NOTES]
    const accounts: DmRanges[] = []
    if (source.ranges !== undefined) {
      const ranges = readDmRanges(at(source.ranges))
      accounts.push(ranges)
      warnings.push(...outsideRam(ranges, regions, source.ranges))
    }
    if (source.messages !== undefined) {
      const channel = await readChannel(at(source.messages), { ram: regions, signal })
      accounts.push(channel.ranges)
      warnings.push(...channel.warnings)
    }
    const word = accounts.length > 0 ? dmHostWord(regions, accounts) : undefined
    if (word && word.disputedFrames > 0) warnings.push(disputed(word.disputedFrames))
    if (word && source.backing !== undefined) {
      const frames = translated(() => backedFramesOf(ram, word.unbacked))
      if (frames > 0) warnings.push(stillBacked(frames, source.backing))
    }
    return fileGuest({
      backend: 'hyperv',
      machine: notes?.guest ?? 'x86_64',
      memory: new FilesMemory(ram, source.backing === undefined ? word?.unbacked : undefined),
      notes: { elfNotes: notes?.elfNotes ?? new Uint8Array(0), cpus: notes?.cpus ?? 0 },
      warnings,
      ...devicesOf(accounts),
    })
  } catch (error) {
    ram[Symbol.dispose]()
    throw error
  }
}

function openRegions(source: FilesSource, at: (path: string) => string): GuestRam {
  if (source.regions.length === 0) {
    throw new OfflineError('INVALID', 'expected at least one region of guest memory, found none')
  }
  const data = source.backing === undefined ? undefined : readBacking(at(source.backing), source.regions.length)
  const regions: RamRegion[] = []
  try {
    source.regions.forEach((region, i) => {
      const ranges = data?.[i]
      const part = { path: at(region.file), offsetBytes: region.offset, sizeBytes: region.size }
      const ram = openFileRam(ranges === undefined ? part : { ...part, data: ranges })
      const name = basename(region.file)
      regions.push({ name, gpaBytes: region.gpa, sizeBytes: region.size, source: ram, sourceOffsetBytes: 0 })
    })
    return new GuestRam(regions)
  } catch (error) {
    for (const region of regions) region.source[Symbol.dispose]()
    throw error
  }
}

function readBacking(path: string, regions: number) {
  const bytes = readBounded(path, { maxBytes: MAX_RANGES_BYTES, what: 'a backing map' })
  return parseBackingFile(bytes, { about: path, regions })
}

const NO_NOTES: Warning = {
  code: 'NO_NOTES',
  text: 'no notes were given: VMCOREINFO is searched for in memory, CPU registers are missing',
}

/** The ranges of an account that knows all of them; messages know what came after the file of ranges was written. */
function devicesOf(accounts: readonly DmRanges[]): { memoryDevices?: MemoryDevices } {
  const account = accounts.findLast(({ knowsBallooned }) => knowsBallooned)
  return account ? { memoryDevices: { ballooned: account.ballooned, pluggable: [] } } : {}
}

function outsideRam(found: DmRanges, regions: readonly PfnRange[], about: string): Warning[] {
  const ram = new RamFrames(regions)
  const all = [...found.ballooned, ...found.hotAdded]
  const outside = countFrames(all) - all.reduce((sum, range) => sum + countFrames(ram.clip(range)), 0)
  if (outside === 0) return []
  const text = `${outside} frames in ${about} are in no region of the descriptor: check that both are of one guest`
  return [{ code: 'DM_OUTSIDE_RAM', text }]
}

function disputed(frames: number): Warning {
  const text = `ranges and messages contradict each other about ${frames} frames, which are unknown: check that both are of one moment`
  return { code: 'DM_RANGES_DIFFER', text }
}

function stillBacked(frames: number, about: string): Warning {
  const text = `${frames} frames that Dynamic Memory says are ballooned out or were never added have memory by ${about}, whose word counts`
  return { code: 'BACKING_DIFFERS', text }
}
