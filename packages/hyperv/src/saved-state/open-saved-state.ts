import { resolve } from 'node:path'
import { type CpuState, cpuNotes, LayoutError } from '@ullage/layout'
import { fileGuest, type OpenGuest, throwIfAborted } from '@ullage/offline-query'
import { countFrames, endOf } from '@ullage/pages'
import type { SavedStateSource } from '../hyperv-source.ts'
import { impossibleRegisters } from './impossible-registers.ts'
import { findValue, type KeyStore, readArray, readInt, readKeyStore } from './key-store.ts'
import { type MemoryBlockExtent, readMemoryBlocks } from './memory-blocks.ts'
import { readObjectTables } from './object-tables.ts'
import { readPartitionState } from './partition-state.ts'
import { RamBlocks } from './ram-blocks.ts'
import { readReplayLog } from './replay-log.ts'
import { SavedMemory } from './saved-memory.ts'
import { corrupt, hex, openStorageFile, type StorageFile, unsupported, withPatches } from './storage-file.ts'
import { readStorageHeader } from './storage-header.ts'

type Warning = OpenGuest['warnings'][number]

const VM_VERSION = '/savedstate/VmVersion'
/** Up to this version keys have other names and structures (openvmm FORMAT.md, appendix A). */
const LAST_OTHER_VERSION = 0x0500n
const PARTITION_STATE = '/savedstate/savedVM/partition_state'
/** Registers of 2048 processors, their xsave areas included, need less. */
const MAX_PARTITION_STATE_BYTES = 64 << 20

/**
 * A frame of struct pages describes 73 frames at most (of 56 bytes each) and is never ballooned, so that RAM has no more for
 * each frame that is stored. Small guests need no rule; neither do frame numbers below 1 TiB.
 */
const RAM_PER_STORED = 73
const RAM_SLACK = 2 ** 20
const SPACE_SLACK = 2 ** 28

/**
 * Opens a guest in a saved state (.vmrs) and changes nothing in it. Throws OfflineError: INVALID, UNSUPPORTED or CORRUPT, with
 * the file and what is wrong, or AbortError.
 */
export function openSavedState(
  source: SavedStateSource,
  options: { readonly baseDir: string; readonly signal?: AbortSignal | undefined },
): OpenGuest {
  throwIfAborted(options.signal)
  const file = openStorageFile(resolve(options.baseDir, source.file))
  try {
    return readSavedState(file)
  } catch (error) {
    file[Symbol.dispose]()
    throw error
  }
}

function readSavedState(raw: StorageFile): OpenGuest {
  const header = readStorageHeader(raw)
  const patches = readReplayLog(raw, header)
  const file = withPatches(raw, patches)
  const objects = readObjectTables(file, header.replayLogOffset)
  const keys = readKeyStore(file, objects, { numbered: { parent: '/savedstate', name: 'RamBlock' } })
  checkVersion(file, keys)
  const extents = readMemoryBlocks(file, keys)
  const memory = new SavedMemory(file, extents, new RamBlocks(file, keys.numbered))
  refuseSparse(file, extents, memory.presentFrames)
  const cpus = readCpus(file, keys, extents)
  return fileGuest({
    backend: 'hyperv',
    machine: 'x86_64',
    memory,
    notes: { elfNotes: cpuNotes(cpus.states), cpus: cpus.states.length },
    warnings: [
      unverified,
      ...logApplied(patches.length),
      ...unlistedValues(keys.unlisted),
      ...absentBlocks(extents, memory.presentFrames),
      ...unusualMemory(extents),
      ...cpus.warnings,
    ],
  })
}

const unverified: Warning = {
  code: 'UNVERIFIED_FORMAT',
  text:
    'this saved state (.vmrs) is read as public descriptions have the format, and no real one with memory has been read yet: ' +
    'unverified; check what you find in it against the guest itself',
}

function checkVersion(file: StorageFile, keys: KeyStore): void {
  const value = findValue(file, keys, VM_VERSION)
  if (!value) {
    const found = keys.values.has('/savedVM/partition_state') ? 'the keys of a version up to 5.0' : 'no such key'
    throw unsupported(file, `${VM_VERSION}, as a saved state of Windows Server 2016 or later has it,`, found)
  }
  const version = readInt(file, value)
  if (version <= LAST_OTHER_VERSION)
    throw unsupported(file, `a version of the guest above ${hex(LAST_OTHER_VERSION)}`, hex(version))
}

function readCpus(
  file: StorageFile,
  keys: KeyStore,
  ram: readonly MemoryBlockExtent[],
): { states: CpuState[]; warnings: Warning[] } {
  const value = findValue(file, keys, PARTITION_STATE)
  const without = (why: string) => {
    const text = `the dump has no registers of vCPUs, so a kernel that ran before may be taken for the one that runs: ${why}`
    return { states: [], warnings: [{ code: 'NO_REGISTERS', text }] }
  }
  if (!value) return without(`there is no ${PARTITION_STATE}`)
  try {
    const states = readPartitionState(file, readArray(file, value, MAX_PARTITION_STATE_BYTES))
    const impossible = states.map((cpu) => impossibleRegisters(cpu, ram)).find((why) => why !== undefined)
    if (impossible !== undefined) return without(`those in ${PARTITION_STATE} cannot be a vCPU's, ${impossible}`)
    return states.length > 0 ? { states, warnings: [] } : without(`${PARTITION_STATE} names no vCPU with registers`)
  } catch (error) {
    // Memory is worth having without registers.
    if (!(error instanceof LayoutError)) throw error
    return without(`${PARTITION_STATE} is not understood: ${error.message}`)
  }
}

/** RAM far beyond what is stored would take this process memory by a few bytes of a file. */
function refuseSparse(file: StorageFile, extents: readonly MemoryBlockExtent[], stored: number): void {
  const frames = countFrames(extents)
  const end = Math.max(...extents.map(endOf))
  if (stored === 0) throw corrupt(file, `its memory blocks have ${frames} frames, and none of their RamBlocks is there`)
  if (frames <= stored * RAM_PER_STORED + RAM_SLACK && end <= stored * RAM_PER_STORED + SPACE_SLACK) return
  throw corrupt(
    file,
    `its memory blocks have ${frames} frames up to ${end - 1}, only ${stored} are stored: no guest has RAM so sparse`,
  )
}

function logApplied(writes: number): Warning[] {
  if (writes === 0) return []
  const text =
    `the file was not closed properly: the ${writes} writes that wait in its replay log are taken as made; ` +
    'the file itself stays as it is'
  return [{ code: 'REPLAY_LOG', text }]
}

function unlistedValues(unlisted: number): Warning[] {
  if (unlisted === 0) return []
  const text = `${unlisted} values stand in parts of the file that no object table lists: they may be what was there before`
  return [{ code: 'UNLISTED_VALUES', text }]
}

function absentBlocks(extents: readonly MemoryBlockExtent[], stored: number): Warning[] {
  const absent = countFrames(extents) - stored
  if (absent === 0) return []
  const text = `${absent} frames of guest RAM are not in the file, which stores whole MiB: the host had no memory for them, or it is lost`
  return [{ code: 'BLOCKS_ABSENT', text }]
}

function unusualMemory(extents: readonly MemoryBlockExtent[]): Warning[] {
  const odd = extents.filter(({ kinds }) => kinds.some((kind) => kind !== 'ram' && kind !== 'hotAdded'))
  if (odd.length === 0) return []
  const text = `${odd.map(({ name }) => name).join(', ')}: memory of a kind that no file was seen with; it is dumped like any other`
  return [{ code: 'UNUSUAL_MEMORY', text }]
}
