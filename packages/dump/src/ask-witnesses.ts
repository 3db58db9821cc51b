import { type GuestMemory, identityAddressSpace, OfflineError, type OpenGuest } from '@ullage/offline-query'
import { type ClassRuns, type GuestView, notedPageBytes } from '@ullage/linux-guest'
import { endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import { type GuestWord, hostOnly, readGuestWord } from './guest-word.ts'
import { HostStates } from './host-states.ts'
import { inFramesOf, type SizedMemory } from './larger-frames.ts'
import { NeverDumped } from './never-dumped.ts'
import { tryRead } from './try-read.ts'
import type { Trust } from './verdict.ts'

/** Frames of each piece of guest RAM that are tried before all of it is searched. */
const PROBES = 64

export interface AskOptions {
  readonly trust: Trust
  /** ELF notes to look for VMCOREINFO in. */
  readonly elfNotes: Uint8Array
  /** True when the notes are a live guest's: without vCPUs that run its kernel the guest has no word. */
  readonly expectVcpus: boolean
  /** False where guest memory may not be searched for VMCOREINFO. */
  readonly search?: boolean
  /** Where VMCOREINFO stood a moment ago, in frames of the guest's pages. */
  readonly likelyVmcoreinfoPfn?: number | undefined
  readonly signal?: AbortSignal
}

/** What both witnesses say. */
export interface Answers {
  readonly word: GuestWord
  readonly host: HostStates
  /** Guest RAM, and all frames here, in frames of the guest's own page size where that is known. */
  readonly memory: GuestMemory
  /** The classes of `window`, as the word was when the host was asked. */
  classify(window: PfnRange, into: ClassRuns): void
}

/**
 * Asks both witnesses about every frame. Where each question costs, and the guest is trusted, the guest is asked first and
 * the host then about no frame that the guest's word leaves out at every level. Throws what the backend throws.
 */
export async function askWitnesses(guest: OpenGuest, options: AskOptions): Promise<Answers> {
  const isGuestFirst = options.trust === 'guest' && guest.backing.capabilities.costly === true
  return (isGuestFirst ? await askGuestFirst(guest, options) : undefined) ?? askHostFirst(guest, options)
}

async function askHostFirst(guest: OpenGuest, options: AskOptions): Promise<Answers> {
  const { memory, backing } = guest
  const host = await HostStates.collect(backing, memory.extents, signalOf(options))
  const read = (range: PfnRange, into: Uint8Array) => host.isReadable(range) && tryRead(memory, range, into)
  const isAsked = options.trust !== 'host' && backing.capabilities.costly === true
  const refusal = isAsked ? whyUnreadable(memory, host) : undefined
  const sized = (frameBytes: number) => inFramesOf(frameBytes, { memory, host }, backing.capabilities.unbackedReads)
  const word = refusal
    ? hostOnly(refusal)
    : await readGuestWord(guest, read, {
        ...options,
        nextReadable: (pfn, limit) => host.nextReadable(pfn, limit),
        inFramesOf: (bytes) => viewOf(guest, sized(bytes)),
      })
  // Notes may claim pages smaller than what the backend can tell apart: no kernel was found that has them.
  const noted = word.linux?.pageBytes ?? notedPageBytes(guest.identity.machine, options.elfNotes) ?? 0
  return {
    word,
    ...sized(Math.max(noted, memory.frameBytes)),
    classify: (window, into) => word.classify(window, into),
  }
}

/** What linux-guest needs of a guest, in frames that are not the backend's. */
function viewOf(guest: OpenGuest, { memory, host }: SizedMemory): GuestView {
  const { frameBytes, extents } = memory
  const factor = frameBytes / guest.memory.frameBytes
  return {
    frameBytes,
    extents,
    machine: guest.identity.machine,
    tryRead: (range, into) => host.isReadable(range) && tryRead(memory, range, into),
    toPfn: (gfn) => {
      const pfn = guest.addressSpace.toPfn(gfn * factor)
      return pfn === undefined || pfn % factor !== 0 ? undefined : pfn / factor
    },
    isIdentity: guest.addressSpace === identityAddressSpace,
  }
}

/**
 * Undefined when the kernel cannot be found without a search of memory: to search is to touch frames of which nothing is
 * known. What the word was read from is asked about whatever the guest calls it.
 */
async function askGuestFirst(guest: OpenGuest, options: AskOptions): Promise<Answers | undefined> {
  const { memory, backing } = guest
  const ram = mergeRanges(memory.extents)
  const metadata = new PfnSet()
  let isReadable = (range: PfnRange) => isInside(ram, range)
  const read = (range: PfnRange, into: Uint8Array): boolean => {
    if (!isReadable(range) || !tryRead(memory, range, into)) return false
    metadata.add(range)
    return true
  }
  const word = await readGuestWord(guest, read, { ...options, search: false })
  if (!word.linux) return undefined
  const leftOut = NeverDumped.find(ram, (window, into) => {
    options.signal?.throwIfAborted()
    word.classify(window, into)
  })
  const skip = PfnSet.of(leftOut.frames.allRuns())
  for (const run of metadata.allRuns()) skip.delete(run)
  const host = await HostStates.collect(backing, ram, { skip, ...signalOf(options) })
  // From here on no frame is read that the host calls unbacked, though it may read as zeros.
  isReadable = (range) => host.isReadable(range)
  return {
    word,
    host,
    memory,
    classify: (window, into) => {
      word.classify(window, into)
      // The guest may have gone on: what was not asked for is what it was then.
      leftOut.restore(window, into)
    },
  }
}

/**
 * Why nothing can be read of a guest, by frames spread over its RAM; undefined when one of them can be, or there are none
 * to try. Where reading is refused as such (a Xen domain that would be given memory by it), a search would try every frame.
 */
function whyUnreadable(memory: GuestMemory, host: HostStates): OfflineError | undefined {
  const into = new Uint8Array(memory.frameBytes)
  let why: OfflineError | undefined
  for (const { start, count } of memory.extents) {
    const stride = Math.max(1, Math.floor(count / PROBES))
    for (let pfn = start; pfn < start + count; pfn += stride) {
      const frame = { start: pfn, count: 1 }
      if (!host.isReadable(frame)) continue
      try {
        memory.read(frame, into)
        return undefined
      } catch (error) {
        if (!(error instanceof OfflineError) || error.code !== 'UNREADABLE') throw error
        why ??= error
      }
    }
  }
  return why
}

function isInside(extents: readonly PfnRange[], range: PfnRange): boolean {
  return extents.some((extent) => range.start >= extent.start && endOf(range) <= endOf(extent))
}

function signalOf({ signal }: AskOptions): { signal?: AbortSignal } {
  return signal ? { signal } : {}
}
