import { cpuNotes } from '@ullage/layout'
import { fileGuest, identityAddressSpace, type OpenGuest, throwIfAborted } from '@ullage/offline-query'
import { endOf } from '@ullage/pages'
import { badSave } from './bad-save.ts'
import { FileMemory, type FilePages } from './file-memory.ts'
import { type GuestFile, openGuestFile } from './guest-file.ts'
import { type GuestRam, guestRam, isPlausibleEnd } from './guest-ram.ts'
import { ramOfConfig } from './save-config.ts'
import { readLibxlHeader, readXlHeader } from './save-header.ts'
import { SaveReader } from './save-reader.ts'
import { readSavedDomain } from './save-stream.ts'
import type { SavedDomain } from './saved-domain.ts'

type Warnings = OpenGuest['warnings']

/**
 * Opens an image of `xl save`, which is gone through once, from front to back, without its pages. Throws OfflineError:
 * INVALID, UNSUPPORTED or CORRUPT, with the file and what is wrong; AbortError.
 */
export async function openSave(path: string, options: { signal?: AbortSignal | undefined }): Promise<OpenGuest> {
  throwIfAborted(options.signal)
  const file = openGuestFile(path, 'an image of xl save')
  try {
    return await openImage(file, options.signal)
  } catch (error) {
    file[Symbol.dispose]()
    throw error
  }
}

async function openImage(file: GuestFile, signal: AbortSignal | undefined): Promise<OpenGuest> {
  const reader = new SaveReader(file)
  const config = readXlHeader(reader)
  readLibxlHeader(reader)
  const domain = await readSavedDomain(reader, signal)
  const frames = domain.pages.finish(file.path)
  const cpus = domain.finishCpus(file.path)
  const { ram, warnings } = ramOf(file.path, { domain, frames, config })
  return fileGuest({
    backend: 'xen',
    machine: 'x86_64',
    memory: new FileMemory(file, frames, ram),
    // The saver turned the machine frames in page tables and CR3 into the guest's own.
    addressSpace: { ...identityAddressSpace, paravirtualised: domain.kind === 'pv' },
    warnings: [...warnings, ...untoldWarnings(domain)],
    notes: { elfNotes: cpuNotes(cpus), cpus: cpus.length },
  })
}

function ramOf(
  path: string,
  { domain, frames, config }: { domain: SavedDomain; frames: FilePages; config: string | undefined },
): { ram: GuestRam; warnings: Warnings } {
  const { pages, backed } = frames
  if (backed === 0) throw badSave(path, 'it has no page of any frame: a guest has memory')
  const isPv = domain.kind === 'pv'
  const { ofGuest, ofSaver } = domain.maxPfn
  const maxPfn = [ofGuest, ofSaver].find((end) => end > 0 && isPlausibleEnd(end, backed)) ?? 0
  const told = isPv ? undefined : ramOfConfig(config)
  const isTold = told !== undefined && told.every((range) => isPlausibleEnd(endOf(range), backed))
  const ram = guestRam(pages, {
    backed,
    translated: !isPv,
    maxPfn,
    told: isTold ? told : undefined,
  })
  if (!ram) {
    throw badSave(path, `its ${backed} frames with memory go up to frame ${pages.end - 1}: no guest has RAM so sparse`)
  }
  if (isPv ? maxPfn > 0 : isTold) return { ram, warnings: [] }
  return { ram, warnings: [endUnknown(ram, isPv)] }
}

function endUnknown({ extents }: GuestRam, isPv: boolean): Warnings[number] {
  const end = Math.max(...extents.map(endOf))
  const source = isPv ? 'the guest’s p2m' : 'the configuration in the image'
  return {
    code: 'RAM_END_UNKNOWN',
    text: `${source} does not tell the end of guest RAM, or one that cannot be: frames without memory above frame ${end - 1} are not seen`,
  }
}

function untoldWarnings({ pages }: SavedDomain): Warnings {
  const { broken, allocated } = pages.untold
  const warnings: { code: string; text: string }[] = []
  if (broken > 0) {
    warnings.push({
      code: 'BROKEN_FRAMES',
      text: `${broken} frames stood on broken memory when the guest was saved: the image has no content of them`,
    })
  }
  if (allocated > 0) {
    warnings.push({
      code: 'ALLOCATED_FRAMES',
      text: `${allocated} frames are said to have memory of no content: they are taken for frames without memory`,
    })
  }
  return warnings
}
