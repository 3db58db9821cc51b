import {
  type ClassRuns,
  GUEST_CLASS,
  type GuestView,
  type LinuxGuest,
  LinuxGuestError,
  openLinuxGuest,
} from '@ullage/linux-guest'
import { identityAddressSpace, type OpenGuest } from '@ullage/offline-query'
import type { PfnRange } from '@ullage/pages'
import type { Warning } from './report.ts'
import type { Trust } from './verdict.ts'

/** The guest's word, or why there is none. */
export interface GuestWord {
  readonly linux: LinuxGuest | undefined
  /** The trust that holds: `host` when the guest's word cannot be had. */
  readonly trust: Trust
  /** True when it cannot be had because memory that it, or a vCPU, relies on has none on the host. */
  readonly isLost: boolean
  readonly warnings: readonly Warning[]
  classify(window: PfnRange, into: ClassRuns): void
}

/**
 * Finds and checks the guest's own metadata. Where it cannot be decoded the host's word is used alone and a warning says
 * why; nothing is left out on a guess. `read` fills its buffer, or returns false where the host has nothing to give; with
 * `search: false` guest memory is not searched for VMCOREINFO.
 */
export async function readGuestWord(
  guest: OpenGuest,
  read: (range: PfnRange, into: Uint8Array) => boolean,
  options: {
    elfNotes: Uint8Array
    expectVcpus: boolean
    trust: Trust
    search?: boolean
    likelyVmcoreinfoPfn?: number | undefined
    /** As in `GuestView`. */
    nextReadable?: (pfn: number, limit: number) => number
    /** The same memory in frames of another size, where it can be had so. */
    inFramesOf?: (frameBytes: number) => GuestView | undefined
    signal?: AbortSignal
  },
): Promise<GuestWord> {
  if (options.trust === 'host') return hostOnly()
  const { memory, addressSpace, identity } = guest
  try {
    const linux = await openLinuxGuest(
      {
        frameBytes: memory.frameBytes,
        extents: memory.extents,
        machine: identity.machine,
        tryRead: read,
        toPfn: (gfn) => addressSpace.toPfn(gfn),
        ...(options.nextReadable ? { nextReadable: options.nextReadable } : {}),
        isIdentity: addressSpace === identityAddressSpace,
        ...(options.inFramesOf ? { inFramesOf: options.inFramesOf } : {}),
      },
      {
        elfNotes: options.elfNotes,
        expectVcpus: options.expectVcpus,
        search: options.search ?? true,
        likelyVmcoreinfoPfn: options.likelyVmcoreinfoPfn,
        ...(options.signal ? { signal: options.signal } : {}),
      },
    )
    const warnings = [...linux.warnings]
    if (!linux.offlineTold) {
      warnings.push({
        code: 'OFFLINE_UNTOLD',
        text: 'the guest kernel exports no value that marks offline pages: frames in use that the host does not back are taken for ballooned',
      })
    }
    return {
      linux,
      trust: options.trust,
      isLost: false,
      warnings,
      classify: (window, into) => linux.classRuns(window, into),
    }
  } catch (error) {
    if (!(error instanceof LinuxGuestError)) throw error
    return { ...hostOnly(error), isLost: error.unreadable }
  }
}

/** No word of the guest's, and why it cannot be had where it was wanted. */
export function hostOnly(why?: { readonly code: string; readonly message: string }): GuestWord {
  const text = `the guest's own word cannot be had, the host's is used alone and every class is unknown: ${why?.message}`
  return {
    linux: undefined,
    trust: 'host',
    isLost: false,
    warnings: why ? [{ code: why.code, text }] : [],
    classify: (window, into) => {
      into.start(window.count)
      into.addUpTo(window.count, GUEST_CLASS.unknown)
    },
  }
}
