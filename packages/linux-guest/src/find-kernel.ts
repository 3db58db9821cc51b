import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { type ElfNote, LayoutError, readElfNotes } from '@ullage/layout'
import { type CpuEvidence, cpuEvidence, type Liveness } from './cpu-evidence.ts'
import { type CpuPageTable, withKernelTables } from './cpu-page-tables.ts'
import type { GuestFrames } from './guest-frames.ts'
import { type Kernel, type KernelClaim, kernelClaim, kernelMemory, openKernel } from './kernel.ts'
import { LinuxGuestError } from './linux-guest-error.ts'
import { MemorySections } from './memory-sections.ts'
import { pointedVmcoreinfo } from './pointed-vmcoreinfo.ts'
import { Refusal } from './refusal.ts'
import { Refusals } from './refusals.ts'
import { scanVmcoreinfo, textOf } from './scan-vmcoreinfo.ts'
import { Vmcoreinfo, VMCOREINFO_MAX_BYTES } from './vmcoreinfo.ts'

/**
 * Any process of the guest can fill its memory with pages that look like VMCOREINFO, so what is given up depends on how
 * far one of them gets. Pages that lack lines cost no more than their own text, and there is no bound on them. Different
 * texts whose page tables are walked cost a few frames each.
 */
const MAX_WALKED = 65_536
/** Different texts that know where the kernel is, which processes are not told, and whose sections are then counted. */
const MAX_OPENED = 4096
/** Sections of guest RAM that all those have together: each candidate has them looked at some times. 8192 are 1 TiB. */
const MAX_SECTIONS = 2 ** 21

export interface FindOptions {
  readonly elfNotes?: Uint8Array | undefined
  /** A VMCOREINFO text from elsewhere, tried before all others. */
  readonly vmcoreinfo?: string | undefined
  /** Whether a kernel is refused that no vCPU confirms, though the notes hold no vCPU. */
  readonly expectVcpus?: boolean | undefined
  /** False where guest memory may not be searched frame by frame. */
  readonly search?: boolean | undefined
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
  readonly liveness: Liveness
}

/**
 * Finds the VMCOREINFO of the kernel that runs: in `vmcoreinfo`, in the notes, where the image of a vCPU's kernel points
 * to, else anywhere in guest memory. Every candidate is held against guest memory. Where vCPUs can be asked, only a kernel
 * that the page tables of one confirm is taken: the memory of one that ran before a reboot still bears it out, and its
 * word on frames is false. Where they cannot, the kernel whose struct pages cover most is. Throws LinuxGuestError that lists what was tried and why it was refused.
 */
export async function findKernel(frames: GuestFrames, options: FindOptions): Promise<FoundKernel> {
  const refused = new Refusals()
  const warnings: Warning[] = []
  const notes = readNotes(options.elfNotes ?? new Uint8Array(0), refused)
  const evidence = cpuEvidence(frames, notes)
  const mustRun = evidence.cpus > 0 || options.expectVcpus === true
  const walked = new Set<string>()
  let opened = 0
  let sections = 0
  let possible = 0
  let hasMissed = false

  const openClaim = (claim: KernelClaim): Kernel => {
    const before = claim.frames.missed
    try {
      const memory = kernelMemory(claim)
      opened++
      sections += MemorySections.countOf(claim.frames, claim.info, claim.architecture.sparseDefaults)
      return openKernel(claim, memory)
    } catch (error) {
      hasMissed ||= claim.frames.missed > before
      throw error
    }
  }
  const isExhausted = (): boolean => walked.size >= MAX_WALKED || opened >= MAX_OPENED || sections >= MAX_SECTIONS
  /** A candidate may take a while: whoever wants the search to end is heard before the next. */
  const turn = async (): Promise<void> => {
    await setImmediate()
    options.signal?.throwIfAborted()
  }
  const tryOne = (candidate: Candidate): Accepted | undefined => {
    try {
      if (candidate.text.length > VMCOREINFO_MAX_BYTES) {
        throw new Refusal(`it is longer than any: a kernel writes ${VMCOREINFO_MAX_BYTES} bytes at most`)
      }
      const claim = kernelClaim(frames, Vmcoreinfo.parse(candidate.text))
      const digest = createHash('sha256').update(candidate.text, 'latin1').digest('base64')
      if (candidate.from === 'scan' && walked.has(digest)) return undefined
      walked.add(digest)
      const kernel = openClaim(claim)
      return { candidate, kernel, liveness: evidence.livenessOf(kernel) }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      refused.add(`${candidate.where}: ${error.message}`)
      return undefined
    }
  }
  const found = ({ candidate, kernel, liveness }: Accepted): FoundKernel => {
    if (mustRun && liveness === 'possible') {
      const text = `no vCPU was in the kernel, whose registers then do not tell which one runs: ${kernel.info.osrelease} was taken, and memory bears it out`
      warnings.push({ code: 'VCPUS_IN_PROCESSES', text })
    }
    const { from, pfn } = candidate
    return {
      kernel,
      from,
      vmcoreinfoPfn: pfn === undefined ? undefined : frames.pfnIn(kernel.memory.frames, pfn),
      warnings,
    }
  }

  const isUnreadable = (): boolean => hasMissed || evidence.roots.some((root) => !isReadable(frames, root))

  let best: Accepted | undefined
  for (const candidate of givenCandidates(options.vmcoreinfo, notes)) {
    const accepted = tryOne(candidate)
    if (accepted && (accepted.liveness !== 'no' || !mustRun)) return found(accepted)
    if (!accepted) continue
    refused.add(`${candidate.where}: no vCPU runs its kernel ${accepted.kernel.info.osrelease}`)
    best ??= accepted
  }
  // No vCPU could confirm what the search would find.
  if (mustRun && !evidence.canBeRun) throw notRunning(best, evidence, isUnreadable())
  for (const reason of refused.listed) {
    warnings.push({ code: 'VMCOREINFO_REFUSED', text: `guest memory was searched for another VMCOREINFO: ${reason}` })
  }
  for (const { pfn, text } of pointedVmcoreinfo(frames, withKernelTables(evidence.roots), { signal: options.signal })) {
    if (isExhausted()) break
    await turn()
    const where = `in frame ${pfn}, which the kernel image points to`
    const accepted = tryOne({ where, text, from: 'scan', pfn })
    if (accepted?.liveness === 'runs') return found(accepted)
    best ??= accepted
  }
  if (options.search === false) throw nothingFound(refused, isUnreadable())
  for await (const { pfn, text } of scanVmcoreinfo(frames, { signal: options.signal })) {
    await turn()
    if (isExhausted()) {
      warnings.push({
        code: 'TOO_MANY_CANDIDATES',
        text: `the search for VMCOREINFO stopped at frame ${pfn}, after ${walked.size} different candidates`,
      })
      break
    }
    const accepted = tryOne({ where: `in frame ${pfn}`, text, from: 'scan', pfn })
    if (accepted?.liveness === 'possible') possible++
    if (accepted && (!best || isBetter(accepted, best))) best = accepted
    if (best?.liveness === 'runs') break
  }
  // Of several that may run, none is believed.
  const isSure = best?.liveness === 'runs' || (best?.liveness === 'possible' && possible === 1)
  if (best && mustRun && !isSure) throw notRunning(best, evidence, isUnreadable())
  if (best) return found(best)
  throw nothingFound(refused, isUnreadable())
}

function readNotes(blob: Uint8Array, refused: Refusals): ElfNote[] {
  const notes: ElfNote[] = []
  try {
    for (const note of readElfNotes(blob)) notes.push(note)
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error
    refused.add(`in the notes: ${error.message}`)
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

const LIVENESS: readonly Liveness[] = ['no', 'possible', 'runs']

function isBetter(a: Accepted, b: Accepted): boolean {
  if (a.liveness !== b.liveness) return LIVENESS.indexOf(a.liveness) > LIVENESS.indexOf(b.liveness)
  return a.kernel.sections.countDecodable() > b.kernel.sections.countDecodable()
}

function notRunning(best: Accepted | undefined, { cpus, denial }: CpuEvidence, unreadable: boolean): LinuxGuestError {
  const seen = best
    ? `memory holds the kernel ${best.kernel.info.osrelease} (VMCOREINFO ${best.candidate.where})`
    : 'no kernel was given'
  return new LinuxGuestError(
    'KERNEL_NOT_RUNNING',
    `expected a kernel that a vCPU runs: ${seen}, ${cpus} vCPUs told their state, and ${denial}: ` +
      'the guest is in its firmware or boot loader, or is rebooting',
    { unreadable },
  )
}

/** False for a root table in guest RAM that cannot be read. */
function isReadable(frames: GuestFrames, { address }: CpuPageTable): boolean {
  const pfn = frames.view.toPfn(Number(address >> BigInt(frames.frameShift)))
  return pfn === undefined || !frames.isRam(pfn) || frames.readFrame(pfn, new Uint8Array(frames.frameBytes))
}

function nothingFound(refused: Refusals, unreadable: boolean): LinuxGuestError {
  if (refused.count === 0) {
    return new LinuxGuestError(
      'NO_VMCOREINFO',
      'expected VMCOREINFO in the notes or in a page of guest memory, found none: is the guest a Linux with ' +
        'CONFIG_VMCORE_INFO (CONFIG_CRASH_CORE before 6.9) that has booted?',
      { unreadable },
    )
  }
  return new LinuxGuestError(
    'NO_VALID_VMCOREINFO',
    `expected a VMCOREINFO that guest memory bears out, found ${refused.count} that it does not: ${refused}`,
    { unreadable },
  )
}
