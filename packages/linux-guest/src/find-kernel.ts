import { type ElfNote, LayoutError, readElfNotes } from '@ullage/layout'
import { cpuPageTables, isRunBy } from './cpu-page-tables.ts'
import type { GuestFrames } from './guest-frames.ts'
import { type Kernel, openKernel } from './kernel.ts'
import { LinuxGuestError } from './linux-guest-error.ts'
import { Refusal } from './refusal.ts'
import { scanVmcoreinfo, textOf } from './scan-vmcoreinfo.ts'
import { Vmcoreinfo, VMCOREINFO_MAX_BYTES } from './vmcoreinfo.ts'

/** Different texts that are held against guest memory before the search gives up. A guest can fill its memory with them. */
const MAX_CANDIDATES = 256
/** Candidates that an error message lists. */
const MAX_LISTED = 8

export interface FindOptions {
  readonly elfNotes?: Uint8Array | undefined
  /** A VMCOREINFO text from elsewhere, tried before all others. */
  readonly vmcoreinfo?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Warning {
  readonly code: string
  readonly text: string
}

export interface FoundKernel {
  readonly kernel: Kernel
  readonly from: 'note' | 'scan'
  /** Frame of the VMCOREINFO page, where the scan found it. */
  readonly vmcoreinfoPfn: number | undefined
  readonly warnings: readonly Warning[]
}

interface Candidate {
  readonly where: string
  readonly text: string
  readonly from: 'note' | 'scan'
  readonly pfn?: number
}

interface Accepted {
  readonly candidate: Candidate
  readonly kernel: Kernel
  readonly isRunning: boolean
}

/**
 * Finds the VMCOREINFO of the kernel that runs: in `vmcoreinfo`, in the notes, else in guest memory. Every candidate is
 * held against guest memory; of several that stand, one that a vCPU's page tables confirm comes first, then the one
 * whose struct pages cover most. Throws LinuxGuestError that lists what was tried and why it was refused.
 */
export async function findKernel(frames: GuestFrames, options: FindOptions): Promise<FoundKernel> {
  const refused: string[] = []
  const warnings: Warning[] = []
  const notes = readNotes(options.elfNotes ?? new Uint8Array(0), refused)
  const roots = cpuPageTables(notes)

  const tryOne = (candidate: Candidate): Accepted | undefined => {
    try {
      if (candidate.text.length > VMCOREINFO_MAX_BYTES) {
        throw new Refusal(`it has ${candidate.text.length} bytes, a kernel writes ${VMCOREINFO_MAX_BYTES} at most`)
      }
      const kernel = openKernel(frames, Vmcoreinfo.parse(candidate.text))
      return { candidate, kernel, isRunning: isRunBy(kernel, frames, roots) }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      refused.push(`${candidate.where}: ${error.message}`)
      return undefined
    }
  }
  const found = ({ candidate, kernel, isRunning }: Accepted): FoundKernel => {
    if (roots.length > 0 && !isRunning) {
      warnings.push({
        code: 'KERNEL_NOT_RUNNING',
        text: `no vCPU has page tables with the kernel of the VMCOREINFO ${candidate.where}: it may be one that ran before`,
      })
    }
    return { kernel, from: candidate.from, vmcoreinfoPfn: candidate.pfn, warnings }
  }

  for (const candidate of givenCandidates(options.vmcoreinfo, notes)) {
    const accepted = tryOne(candidate)
    if (accepted) return found(accepted)
  }
  for (const reason of refused) {
    warnings.push({ code: 'VMCOREINFO_REFUSED', text: `guest memory was searched for another VMCOREINFO: ${reason}` })
  }

  const tried = new Set<string>()
  let best: Accepted | undefined
  for await (const { pfn, text } of scanVmcoreinfo(frames, { signal: options.signal })) {
    if (tried.has(text)) continue
    if (tried.size === MAX_CANDIDATES) {
      warnings.push({
        code: 'TOO_MANY_CANDIDATES',
        text: `the search for VMCOREINFO stopped at frame ${pfn}, after ${MAX_CANDIDATES} different candidates`,
      })
      break
    }
    tried.add(text)
    const accepted = tryOne({ where: `in frame ${pfn}`, text, from: 'scan', pfn })
    if (accepted && (!best || isBetter(accepted, best))) best = accepted
    if (best?.isRunning) break
  }
  if (best) return found(best)
  throw nothingFound(refused)
}

function readNotes(blob: Uint8Array, refused: string[]): ElfNote[] {
  const notes: ElfNote[] = []
  try {
    for (const note of readElfNotes(blob)) notes.push(note)
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error
    refused.push(`in the notes: ${error.message}`)
  }
  return notes
}

function* givenCandidates(text: string | undefined, notes: readonly ElfNote[]): Generator<Candidate> {
  if (text !== undefined) yield { where: 'that was given', text, from: 'note' }
  for (const note of notes) {
    if (note.name === 'VMCOREINFO') {
      yield { where: `in the note at byte ${note.position}`, text: textOf(note.desc), from: 'note' }
    }
  }
}

function isBetter(a: Accepted, b: Accepted): boolean {
  if (a.isRunning !== b.isRunning) return a.isRunning
  return a.kernel.sectionsDecodable > b.kernel.sectionsDecodable
}

function nothingFound(refused: readonly string[]): LinuxGuestError {
  if (refused.length === 0) {
    return new LinuxGuestError(
      'NO_VMCOREINFO',
      'expected VMCOREINFO in the notes or in a page of guest memory, found none: is the guest a Linux with ' +
        'CONFIG_VMCORE_INFO (CONFIG_CRASH_CORE before 6.9) that has booted?',
    )
  }
  const more = refused.length > MAX_LISTED ? `; and ${refused.length - MAX_LISTED} more` : ''
  return new LinuxGuestError(
    'NO_VALID_VMCOREINFO',
    `expected a VMCOREINFO that guest memory bears out, found ${refused.length} that it does not: ` +
      refused.slice(0, MAX_LISTED).join('; ') +
      more,
  )
}
