import type { UnbackedReads } from '@ullage/offline-query'
import { FATE, GUEST_CLASS, guestClasses, HOST_STATE, hostStates } from './frame-codes.ts'

/** Whose word counts. `both` is the forensic setting; `host` does not consult guest metadata at all. */
export type Trust = 'guest' | 'both' | 'host'

export const trusts = ['guest', 'both', 'host'] as const satisfies readonly Trust[]

/** makedumpfile's -d bits (makedumpfile.8, "-d dump_level"). */
export const levelBits = { zero: 1, cache: 2, cachePrivate: 4, user: 8, free: 16 } as const

export interface Policy {
  /** makedumpfile's -d, 0 to 31. */
  readonly level: number
  readonly trust: Trust
  readonly unbackedReads: UnbackedReads
  /** False where the guest's kernel exports no value that marks offline pages. */
  readonly offlineTold: boolean
}

/**
 * What a verdict is worth telling in the report. `listed`: missing, where the source lists what it never looked at or what
 * is no RAM of a machine, which is nothing to worry about.
 */
export const NOTE = { none: 0, untouched: 1, missing: 2, offlineUntold: 3, listed: 4 } as const

const CLASSES = guestClasses.length
const STATES = hostStates.length

/** Index of one combination in the tables of `Verdicts`. */
export function verdictIndex(guestClass: number, hostState: number, isProtected: boolean): number {
  return ((isProtected ? 1 : 0) * CLASSES + guestClass) * STATES + hostState
}

/** The verdict for every combination of class, state and protection, as tables indexed by `verdictIndex`. */
export interface Verdicts {
  readonly fate: Uint8Array
  /** Values of `NOTE`. */
  readonly note: Uint8Array
}

/**
 * Decides every combination once, so that a frame costs one look-up. The rules, in this order:
 *
 * 1. hwpoison, offline and unaccepted frames are left out at every level.
 * 2. Protected frames are kept whatever the level says. A free frame is not in use by anybody, so never protected.
 * 3. The level decides about the rest.
 * 4. A kept frame that the host does not back is not read: it is stored as zeros where the guest would see zeros, else
 *    left out.
 *
 * With trust `both` no claim of the guest leaves out a frame that the host backs, and the level counts as 1 at most.
 */
export function decideVerdicts(policy: Policy): Verdicts {
  const fate = new Uint8Array(2 * CLASSES * STATES)
  const note = new Uint8Array(2 * CLASSES * STATES)
  for (let guestClass = 0; guestClass < CLASSES; guestClass++) {
    for (let hostState = 0; hostState < STATES; hostState++) {
      for (const isProtected of [false, true]) {
        const index = verdictIndex(guestClass, hostState, isProtected)
        const decided = decide(policy, guestClass, hostState, isProtected)
        fate[index] = decided.fate
        note[index] = decided.note
      }
    }
  }
  return { fate, note }
}

function decide(policy: Policy, guestClass: number, hostState: number, isProtected: boolean) {
  const leaveOut = { fate: FATE.leaveOut, note: NOTE.none }
  if (hostState !== HOST_STATE.unbacked) {
    if (policy.trust === 'both') return { fate: FATE.write, note: NOTE.none }
    if (neverDumped(guestClass)) return leaveOut
    if (isProtected && guestClass !== GUEST_CLASS.free) return { fate: FATE.write, note: NOTE.none }
    return levelLeavesOut(policy.level, guestClass) ? leaveOut : { fate: FATE.write, note: NOTE.none }
  }
  if (neverDumped(guestClass) || guestClass === GUEST_CLASS.free || guestClass === GUEST_CLASS.noStructPage) {
    return leaveOut
  }
  const kept = isProtected || policy.trust === 'both' || !levelLeavesOut(policy.level, guestClass)
  if (!kept) return leaveOut
  if (guestClass === GUEST_CLASS.inUse && !policy.offlineTold && !isProtected) {
    return { fate: FATE.leaveOut, note: NOTE.offlineUntold }
  }
  if (policy.unbackedReads === 'nothing') return { fate: FATE.leaveOut, note: NOTE.missing }
  return { fate: FATE.zero, note: NOTE.untouched }
}

function neverDumped(guestClass: number): boolean {
  return (
    guestClass === GUEST_CLASS.hwpoison || guestClass === GUEST_CLASS.offline || guestClass === GUEST_CLASS.unaccepted
  )
}

/** makedumpfile: bit 2 drops cache without private data, bit 4 all cache, whatever bit 2 says. */
function levelLeavesOut(level: number, guestClass: number): boolean {
  switch (guestClass) {
    case GUEST_CLASS.free:
      return (level & levelBits.free) !== 0
    case GUEST_CLASS.user:
      return (level & levelBits.user) !== 0
    case GUEST_CLASS.cachePrivate:
      return (level & levelBits.cachePrivate) !== 0
    case GUEST_CLASS.cache:
      return (level & (levelBits.cache | levelBits.cachePrivate)) !== 0
    default:
      return false
  }
}

/**
 * The level that counts, which is also the one a dump claims: readers such as makedumpfile leave out at least what the
 * header says was left out. Where the guest's word does not count (trust `both`, or `host`) only bit 1 is left of it.
 */
export function effectiveLevel(policy: Pick<Policy, 'level' | 'trust'>): number {
  return policy.trust === 'guest' ? policy.level : policy.level & levelBits.zero
}
