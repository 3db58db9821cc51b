import { cpuNotes } from '@ullage/layout'
import {
  type AddressSpace,
  fileGuest,
  identityAddressSpace,
  type OpenGuest,
  throwIfAborted,
} from '@ullage/offline-query'
import { readCoreCpus } from './core-cpus.ts'
import { type CoreFrames, readCoreFrames } from './core-frames.ts'
import { readCoreHeader } from './core-header.ts'
import { PAGE_BYTES, SHARED_INFO_MAX_PFN } from './core-layout.ts'
import { type CoreSection, corrupt, readSections, requireSection } from './core-sections.ts'
import { FileMemory } from './file-memory.ts'
import type { FrameRuns } from './frame-runs.ts'
import { type GuestFile, openGuestFile, readBytes } from './guest-file.ts'
import { type GuestRam, guestRam } from './guest-ram.ts'
import { invertRuns } from './invert-runs.ts'

type Warnings = OpenGuest['warnings']

/** Opens the core file of a guest. Throws OfflineError (INVALID, UNSUPPORTED, CORRUPT: the file and what is wrong), AbortError. */
export async function openCore(path: string, options: { signal?: AbortSignal | undefined }): Promise<OpenGuest> {
  throwIfAborted(options.signal)
  const file = openGuestFile(path, 'a core file of xl dump-core')
  try {
    return await openSections(file, options.signal)
  } catch (error) {
    file[Symbol.dispose]()
    throw error
  }
}

async function openSections(file: GuestFile, signal: AbortSignal | undefined): Promise<OpenGuest> {
  const sections = readSections(file)
  const [notes, prstatus, pages] = ['.note.Xen', '.xen_prstatus', '.xen_pages'].map((name) =>
    requireSection(file, sections, name),
  ) as [CoreSection, CoreSection, CoreSection]
  const header = readCoreHeader(file, notes)
  const elfNotes = cpuNotes(readCoreCpus(file, prstatus, header.vcpus))
  const tables = { pages, p2m: sections.get('.xen_p2m'), pfn: sections.get('.xen_pfn') }
  const frames = await readCoreFrames(file, header, tables, signal)
  const shared = sections.get('.xen_shared_info')
  const maxPfn = frames.machine && shared ? readMaxPfn(file, shared) : 0
  const memory = new FileMemory(file, frames, ramOf(file, frames, maxPfn))
  const machine = frames.machine && invertRuns(frames.machine)
  return fileGuest({
    backend: 'xen',
    machine: 'x86_64',
    memory,
    addressSpace: machine ? machineSpace(machine.runs) : identityAddressSpace,
    warnings: [
      ...(machine ? maxPfnWarnings(memory.extents, maxPfn) : holeWarnings(memory)),
      ...repeated(machine?.repeated),
    ],
    notes: { elfNotes, cpus: header.vcpus },
  })
}

/** Page tables of a PV guest hold machine frames: its p2m turned round leads back. */
function machineSpace(pfns: FrameRuns): AddressSpace {
  return { toPfn: (gfn) => pfns.get(gfn), paravirtualised: true }
}

/** What a PV guest says in its shared info, 0 when it says nothing that can be. */
function readMaxPfn(file: GuestFile, section: CoreSection): number {
  if (section.sizeBytes < SHARED_INFO_MAX_PFN + 8) {
    throw corrupt(file, `section ${section.name} has only ${section.sizeBytes} bytes`)
  }
  const bytes = readBytes(file, section.offsetBytes + SHARED_INFO_MAX_PFN, 8, `section ${section.name}`)
  return Number(new DataView(bytes.buffer).getBigUint64(0, true))
}

function ramOf(file: GuestFile, { pages, backed, machine }: CoreFrames, maxPfn: number): GuestRam {
  const ram = guestRam(pages, { backed, translated: machine === undefined, maxPfn })
  if (ram) return ram
  throw corrupt(file, `its ${backed} frames with memory go up to frame ${pages.end - 1}: no guest has RAM so sparse`)
}

function maxPfnWarnings(extents: GuestRam['extents'], maxPfn: number): Warnings {
  const end = Math.max(...extents.map(({ start, count }) => start + count))
  if (maxPfn > 0 && maxPfn <= end) return []
  const found = maxPfn === 0 ? 'is not told' : `is said to be frame ${maxPfn}, more than a guest of this size can have`
  const text = `the end of guest RAM ${found}: frames without memory above frame ${end - 1} are not seen`
  return [{ code: 'RAM_END_UNKNOWN', text }]
}

/** RAM of PVH goes on into what xl dump-core takes for a hole for devices; of HVM it does not, and a core does not say which. */
function holeWarnings({ extents, notDumped }: GuestRam): Warnings {
  const hole = notDumped.find(({ name }) => name === 'devices')
  if (!hole || !extents.some(({ start }) => start * PAGE_BYTES > hole.startBytes)) return []
  const text =
    'xl dump-core does not look for memory between 3840 MiB and 4 GiB: if the guest is PVH, up to 192 MiB of its RAM are not in the core (xl save has them)'
  return [{ code: 'RAM_NOT_IN_CORE', text }]
}

function repeated(frames = 0): Warnings {
  if (frames === 0) return []
  const text = `${frames} machine frames stand behind more than one frame of the guest: page tables are followed to the first`
  return [{ code: 'MACHINE_FRAMES_SHARED', text }]
}
