import { cutRange, endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import type { DumpPlan, PlanRun } from './dump-plan.ts'
import { FATE, GUEST_CLASS, guestClasses, HOST_STATE, hostStates } from './frame-codes.ts'
import { RunEmitter } from './run-emitter.ts'
import { decideVerdicts, NOTE, type Policy, type Verdicts, verdictIndex } from './verdict.ts'

const CLASSES = guestClasses.length
const STATES = hostStates.length

/** Runs in use without memory of which it is asked whether they are idle, at most: what a guest has beyond counts as held. */
const MAX_ASKED = 2 ** 17

/** What a few frames are asked about besides their class and state. As in `Witnesses`. */
export interface Asked {
  readonly notDumped: readonly PfnRange[]
  countIdle(range: PfnRange): number
  canRead(pfn: number): boolean
}

/**
 * Collects a plan from runs, ascending, each of one class, state and protection. A run costs a few additions: its frames
 * are counted by what was decided for all like it, and the sets of the plan are told of fates only where they change.
 */
export class PlanBuilder {
  readonly #asked: Asked
  readonly #policy: Policy
  readonly #verdicts: Verdicts
  readonly #emitter: RunEmitter | undefined
  readonly #listed: readonly PfnRange[]
  /** By verdict index: 1 where there is no more to a run than its frames and its fate. */
  readonly #isPlain: Uint8Array
  /** Frames by verdict index. */
  readonly #frames = new Float64Array(2 * CLASSES * STATES)
  readonly #present = new PfnSet()
  readonly #write = new PfnSet()
  readonly #zero = new PfnSet()
  // Neighbouring frames of one fate, not yet in its set; present ones, not yet in theirs.
  #fate: number = FATE.leaveOut
  #fateStart = 0
  #presentStart = 0
  #isPresent = false
  /** First frame after the last run. */
  #end = 0
  #maxPfn = 0
  #idleUnbacked = 0
  #idleAsked = 0
  #protectedUnbacked = 0
  /** Poisoned frames that the host could not read. */
  #unreadable = 0
  /** Missing frames that the source lists. */
  #listedMissing = 0

  constructor(asked: Asked, policy: Policy, onRun?: (run: PlanRun) => void) {
    this.#asked = asked
    this.#policy = policy
    this.#verdicts = decideVerdicts(policy)
    this.#emitter = onRun && new RunEmitter(onRun)
    this.#listed = mergeRanges(asked.notDumped)
    this.#isPlain = onRun ? new Uint8Array(2 * CLASSES * STATES) : plainRuns(policy, this.#verdicts)
  }

  /** Frames [start, end). */
  add(start: number, end: number, guestClass: number, hostState: number, isProtected: boolean): void {
    const index = verdictIndex(guestClass, hostState, isProtected)
    this.#frames[index] = (this.#frames[index] as number) + (end - start)
    if (start !== this.#end) this.#flush()
    this.#end = end
    const fate = this.#verdicts.fate[index] as number
    if (this.#isPlain[index] === 0 || !this.#isPresent) {
      this.#addOther({ start, count: end - start, guestClass, hostState, fate }, index)
    } else if (fate !== this.#fate) this.#turnFate(start, fate)
  }

  /** The plan of all runs so far. Nothing is added after it. */
  finish(): DumpPlan {
    this.#flush()
    this.#emitter?.flush()
    const counts = new Float64Array(CLASSES * STATES)
    const fates = new Float64Array(3)
    const notes = new Float64Array(Object.keys(NOTE).length)
    let total = 0
    for (const [index, frames] of this.#frames.entries()) {
      total += frames
      move(counts, index % counts.length, frames)
      move(fates, this.#verdicts.fate[index] as number, frames)
      move(notes, this.#verdicts.note[index] as number, frames)
    }
    move(fates, FATE.write, -this.#unreadable)
    move(fates, FATE.leaveOut, this.#unreadable)
    move(notes, NOTE.missing, -this.#listedMissing)
    move(notes, NOTE.listed, this.#listedMissing)
    return {
      present: this.#present,
      write: this.#write,
      zero: this.#zero,
      maxPfn: this.#maxPfn,
      total,
      counts,
      fates,
      notes,
      protectedUnbacked: this.#protectedUnbacked,
      idleUnbacked: this.#idleUnbacked,
      offlineTold: this.#policy.offlineTold,
    }
  }

  /** A run that is more than its verdict. */
  #addOther(run: PlanRun, index: number): void {
    const { offlineTold } = this.#policy
    const isUnbacked = run.hostState === HOST_STATE.unbacked
    this.#turnPresent(run.start, !isUnbacked || run.guestClass !== GUEST_CLASS.noStructPage)
    // Where the kernel cannot say offline, what it gave to a balloon looks like this too: it is counted as that.
    const isAbsent = isUnbacked && offlineTold && run.guestClass === GUEST_CLASS.inUse
    const idle = isAbsent && this.#idleAsked++ < MAX_ASKED ? this.#asked.countIdle(run) : 0
    this.#idleUnbacked += idle
    if (this.#verdicts.note[index] === NOTE.missing) this.#listedMissing += countInside(run, this.#listed)
    if (isUnbacked && offlineTold && isReliedUpon(index)) this.#protectedUnbacked += run.count - idle
    if (isProbed(this.#policy, run)) this.#addProbed(run)
    else this.#addFate(run)
  }

  /** Frames that the guest calls poisoned, which is believed where the host cannot read them. */
  #addProbed(run: PlanRun): void {
    for (let pfn = run.start; pfn < endOf(run); pfn++) {
      const canRead = this.#asked.canRead(pfn)
      if (!canRead) this.#unreadable++
      this.#addFate({ ...run, start: pfn, count: 1, fate: canRead ? FATE.write : FATE.leaveOut })
    }
  }

  #addFate(run: PlanRun): void {
    this.#turnFate(run.start, run.fate)
    this.#emitter?.add(run)
  }

  /** Frames from `start` on have this fate. */
  #turnFate(start: number, fate: number): void {
    if (fate === this.#fate) return
    if (this.#fate !== FATE.leaveOut && start > this.#fateStart) {
      const set = this.#fate === FATE.write ? this.#write : this.#zero
      set.add({ start: this.#fateStart, count: start - this.#fateStart })
    }
    this.#fate = fate
    this.#fateStart = start
  }

  /** Frames from `start` on are present, or not. */
  #turnPresent(start: number, isPresent: boolean): void {
    if (isPresent === this.#isPresent) return
    if (this.#isPresent && start > this.#presentStart) {
      this.#present.add({ start: this.#presentStart, count: start - this.#presentStart })
      this.#maxPfn = start
    }
    this.#isPresent = isPresent
    this.#presentStart = start
  }

  /** Ends what is open: after the last run there is a gap, or nothing. */
  #flush(): void {
    this.#turnFate(this.#end, FATE.leaveOut)
    this.#turnPresent(this.#end, false)
  }
}

function move(into: Float64Array, index: number, frames: number): void {
  into[index] = (into[index] as number) + frames
}

function countInside(run: PfnRange, ranges: readonly PfnRange[]): number {
  let frames = 0
  for (const piece of cutRange(run, ranges)) if (piece.inside) frames += piece.count
  return frames
}

/** With trust `both`, poison is a claim of the guest's that a read can refute. */
function isProbed({ trust }: Policy, { guestClass, fate }: Pick<PlanRun, 'guestClass' | 'fate'>): boolean {
  return trust === 'both' && guestClass === GUEST_CLASS.hwpoison && fate === FATE.write
}

/**
 * Whether the kernel relies on frames with this verdict index. A frame of its image that was given back (init memory) is free
 * or ballooned: nobody relies on it.
 */
function isReliedUpon(index: number): boolean {
  const isProtected = index >= CLASSES * STATES
  const guestClass = Math.floor(index / STATES) % CLASSES
  return isProtected && !UNRELIED.includes(guestClass)
}

const UNRELIED: readonly number[] = [GUEST_CLASS.offline, GUEST_CLASS.free, GUEST_CLASS.noStructPage]

/** By verdict index, 1 for present frames about which nobody is asked and nothing counted besides. */
function plainRuns(policy: Policy, { fate, note }: Verdicts): Uint8Array {
  return fate.map((decided, index) => {
    const guestClass = Math.floor(index / STATES) % CLASSES
    const isUnbacked = index % STATES === HOST_STATE.unbacked
    const isCounted = isUnbacked && policy.offlineTold && (guestClass === GUEST_CLASS.inUse || isReliedUpon(index))
    const isAbsent = isUnbacked && guestClass === GUEST_CLASS.noStructPage
    const isMissing = note[index] === NOTE.missing
    return isCounted || isAbsent || isMissing || isProbed(policy, { guestClass, fate: decided }) ? 0 : 1
  })
}
