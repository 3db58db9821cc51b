import { cutRange, endOf, mergeRanges, type PfnRange, PfnSet } from '@ullage/pages'
import { FATE, GUEST_CLASS, guestClasses, HOST_STATE, hostStates } from './frame-codes.ts'
import { decideVerdicts, NOTE, type Policy, verdictIndex } from './verdict.ts'
import { WINDOW_FRAMES, windowsOf } from './windows-of.ts'

const STATES = hostStates.length

/** What the two witnesses say, asked window by window. */
export interface Witnesses {
  /** Guest RAM, in any order. */
  readonly extents: readonly PfnRange[]
  /** Fills one class code for each frame of `window`. */
  classify(window: PfnRange, into: Uint8Array): void
  /** Fills one host state code for each frame of `window`. */
  hostStates(window: PfnRange, into: Uint8Array): void
  /** Frames that no level may leave out. */
  readonly protectedFrames: readonly PfnRange[]
  /** Frames that the source lists as not dumped, in guest RAM or not: none of them is missing. */
  readonly notDumped: readonly PfnRange[]
  /** Number of frames of `range` that are in use by class but held by nobody: they wait on a list of the kernel's. */
  countIdle(range: PfnRange): number
  /** True when the host can read this frame. Asked for frames the guest calls poisoned when the guest is not trusted. */
  canRead(pfn: number): boolean
}

/** One maximal run of frames with the same class, state and fate. Codes as in `frame-codes.ts`. */
export interface PlanRun extends PfnRange {
  readonly guestClass: number
  readonly hostState: number
  readonly fate: number
}

export interface DumpPlan {
  /** Bitmap 1: guest RAM less the frames that have neither a struct page nor memory. */
  readonly present: PfnSet
  /** Frames stored with their content. */
  readonly write: PfnSet
  /** Frames stored as zeros without being read. */
  readonly zero: PfnSet
  /** First frame number after the highest of `present`. */
  readonly maxPfn: number
  /** Number of frames of guest RAM. */
  readonly total: number
  /** counts[class * hostStates.length + state], in frames. */
  readonly counts: Float64Array
  /** Frames with each fate, indexed by fate code. */
  readonly fates: Float64Array
  /** Frames with something to tell, indexed by `NOTE`. */
  readonly notes: Float64Array
  /** Protected frames that are in use and that the host does not back. */
  readonly protectedUnbacked: number
  /** Frames in use by class that the host does not back and that nobody holds. */
  readonly idleUnbacked: number
  /** As in the policy: false where offline frames look as if they were in use. */
  readonly offlineTold: boolean
}

/**
 * Decides the fate of every frame of guest RAM. Reads no page content and does no I/O of its own. Memory: three bits a
 * frame and a few windows. `onRun` is told every run, ascending and gapless over guest RAM.
 */
export function planDump(witnesses: Witnesses, policy: Policy, onRun?: (run: PlanRun) => void): DumpPlan {
  const verdicts = decideVerdicts(policy)
  const protectedSet = PfnSet.of(witnesses.protectedFrames)
  const listed = mergeRanges(witnesses.notDumped)
  const plan = {
    present: new PfnSet(),
    write: new PfnSet(),
    zero: new PfnSet(),
    maxPfn: 0,
    total: 0,
    counts: new Float64Array(guestClasses.length * STATES),
    fates: new Float64Array(3),
    notes: new Float64Array(Object.keys(NOTE).length),
    protectedUnbacked: 0,
    idleUnbacked: 0,
    offlineTold: policy.offlineTold,
  }
  const emitter = new RunEmitter(onRun)
  const classes = new Uint8Array(WINDOW_FRAMES)
  const states = new Uint8Array(WINDOW_FRAMES)
  const guarded = new Uint8Array(WINDOW_FRAMES)

  for (const window of windowsOf(witnesses.extents)) {
    witnesses.classify(window, classes)
    witnesses.hostStates(window, states)
    guarded.fill(0, 0, window.count)
    for (const run of protectedSet.runs(window)) guarded.fill(1, run.start - window.start, endOf(run) - window.start)

    for (let at = 0; at < window.count; ) {
      const guestClass = classes[at] as number
      const hostState = states[at] as number
      const guard = guarded[at] as number
      let end = at + 1
      const probed = policy.trust === 'both' && guestClass === GUEST_CLASS.hwpoison
      if (!probed) {
        while (
          end < window.count &&
          classes[end] === guestClass &&
          states[end] === hostState &&
          guarded[end] === guard
        ) {
          end++
        }
      }
      const run = { start: window.start + at, count: end - at }
      const index = verdictIndex(guestClass, hostState, guard === 1)
      let fate = verdicts.fate[index] as number
      if (probed && fate === FATE.write && !witnesses.canRead(run.start)) fate = FATE.leaveOut
      const isAbsent = guestClass === GUEST_CLASS.inUse && hostState === HOST_STATE.unbacked
      // Where the kernel cannot say offline, what it gave to a balloon looks like this too: it is counted as that.
      const idle = isAbsent && policy.offlineTold ? witnesses.countIdle(run) : 0
      const note = verdicts.note[index] as number
      account(plan, run, guestClass, hostState, fate, note)
      if (note === NOTE.missing) moveNotes(plan, note, NOTE.listed, countInside(run, listed))
      plan.idleUnbacked += idle
      if (guard === 1 && policy.offlineTold && hostState === HOST_STATE.unbacked && reliedUpon(guestClass)) {
        plan.protectedUnbacked += run.count - idle
      }
      emitter.add(run, guestClass, hostState, fate)
      at = end
    }
  }
  emitter.flush()
  return plan
}

type MutablePlan = { -readonly [K in keyof DumpPlan]: DumpPlan[K] }

function account(
  plan: MutablePlan,
  run: PfnRange,
  guestClass: number,
  hostState: number,
  fate: number,
  note: number,
): void {
  plan.total += run.count
  plan.counts[guestClass * STATES + hostState] = (plan.counts[guestClass * STATES + hostState] as number) + run.count
  plan.fates[fate] = (plan.fates[fate] as number) + run.count
  plan.notes[note] = (plan.notes[note] as number) + run.count
  if (guestClass !== GUEST_CLASS.noStructPage || hostState !== HOST_STATE.unbacked) {
    plan.present.add(run)
    plan.maxPfn = Math.max(plan.maxPfn, endOf(run))
  }
  if (fate === FATE.write) plan.write.add(run)
  else if (fate === FATE.zero) plan.zero.add(run)
}

function countInside(run: PfnRange, ranges: readonly PfnRange[]): number {
  let frames = 0
  for (const piece of cutRange(run, ranges)) if (piece.inside) frames += piece.count
  return frames
}

function moveNotes(plan: MutablePlan, from: number, to: number, frames: number): void {
  plan.notes[from] = (plan.notes[from] as number) - frames
  plan.notes[to] = (plan.notes[to] as number) + frames
}

/** A frame of the kernel image that was given back (init memory) is free or ballooned: nobody relies on it. */
function reliedUpon(guestClass: number): boolean {
  return (
    guestClass !== GUEST_CLASS.offline && guestClass !== GUEST_CLASS.free && guestClass !== GUEST_CLASS.noStructPage
  )
}

/** Joins what windows and protection cut, so that runs are maximal in class, state and fate. */
class RunEmitter {
  readonly #onRun: ((run: PlanRun) => void) | undefined
  #open: { start: number; count: number; guestClass: number; hostState: number; fate: number } | undefined

  constructor(onRun?: (run: PlanRun) => void) {
    this.#onRun = onRun
  }

  add(run: PfnRange, guestClass: number, hostState: number, fate: number): void {
    if (!this.#onRun) return
    const open = this.#open
    if (
      open &&
      endOf(open) === run.start &&
      open.guestClass === guestClass &&
      open.hostState === hostState &&
      open.fate === fate
    ) {
      open.count += run.count
      return
    }
    this.flush()
    this.#open = { start: run.start, count: run.count, guestClass, hostState, fate }
  }

  flush(): void {
    if (this.#open) this.#onRun?.(this.#open)
    this.#open = undefined
  }
}
