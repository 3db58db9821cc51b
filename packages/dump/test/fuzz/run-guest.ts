import { guestClasses } from '@ullage/linux-guest'
import { endOf } from '@ullage/pages'
import { type Examination, examineGuest } from '../../src/examine-guest.ts'
import type { FuzzBase } from './fuzz-base.ts'
import { FRAME } from './fuzz-base.ts'
import { FuzzGuest } from './fuzz-guest.ts'
import { mutate } from './mutations.ts'
import { Random } from './random.ts'

/** What is done with a guest that was changed. */
export type Subject = (guest: FuzzGuest, random: Random) => Promise<Examination | undefined>

/** Both witnesses are asked about every frame, and the fate of each is decided. */
export const examine: Subject = async (guest, random) => {
  await using open = guest.open()
  return examineGuest(open, {
    level: random.below(32),
    trust: random.oneIn(8) ? 'both' : 'guest',
    elfNotes: guest.notes,
    expectVcpus: guest.base.vcpuNotes.length > 0 && random.oneIn(4),
  })
}

/** What one run found out. */
export interface GuestRun {
  readonly seed: number
  readonly base: string
  readonly mutations: readonly string[]
  /** Whether a kernel was found. */
  readonly found: boolean
  readonly framesRead: number
  readonly steps: number
  readonly ms: number
}

/** One guest that showed something wrong: its seed says how to have it again. */
export class FuzzFinding extends Error {
  override readonly name = 'FuzzFinding'
  readonly seed: number

  constructor(seed: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.seed = seed
  }
}

/** Frames read for each frame of guest RAM, at most: all of it once for the search, metadata a few times. */
const READS_PER_FRAME = 8
/** Frames read whatever the guest's size: candidates, and one image in full. */
const READS_BESIDES = 400_000
/** Steps: an image of 1 GiB is asked for page by page. */
const STEPS_PER_FRAME = 64
const STEPS_BESIDES = 8_000_000
/** A busy machine is slow, not wrong. */
const MOST_MS = 30_000
const MOST_TEXT = 20_000

/** Makes the guest that `seed` says of one of `bases`, has it examined, and holds it against what must always be so. */
export async function runGuest(
  bases: readonly FuzzBase[],
  seed: number,
  subject: Subject = examine,
): Promise<GuestRun> {
  const random = new Random(seed)
  const base = random.pick(bases)
  const guest = new FuzzGuest(base)
  const mutations = mutate(guest, random)
  const where = `seed ${seed} (${base.name}: ${mutations.join(', ')})`
  const started = performance.now()
  let examined: Examination | undefined
  try {
    examined = await subject(guest, random)
  } catch (error) {
    throw new FuzzFinding(seed, `${where}: ${guest.forbidden ?? String(error)}`, { cause: error })
  }
  const ms = performance.now() - started
  const wrong = guest.forbidden ?? whatIsWrong(guest, examined) ?? tooMuch(guest, ms)
  if (wrong !== undefined) throw new FuzzFinding(seed, `${where}: ${wrong}`)
  const { framesRead, steps } = guest
  return { seed, base: base.name, mutations, found: examined?.word.linux !== undefined, framesRead, steps, ms }
}

function tooMuch({ base, framesRead, steps }: FuzzGuest, ms: number): string | undefined {
  const frames = base.extents.reduce((sum, { count }) => sum + count, 0)
  if (framesRead > frames * READS_PER_FRAME + READS_BESIDES) return `${framesRead} frames were read of ${frames}`
  if (steps > frames * STEPS_PER_FRAME + STEPS_BESIDES) return `${steps} steps for ${frames} frames`
  return ms > MOST_MS ? `it took ${Math.round(ms)} ms` : undefined
}

/** What must hold of every guest, whatever it says. */
function whatIsWrong(guest: FuzzGuest, examined: Examination | undefined): string | undefined {
  if (!examined) return undefined
  const { plan, word, memory } = examined
  const frames = memory.extents.reduce((sum, { count }) => sum + count, 0)
  const sum = (counts: Float64Array): number => counts.reduce((total, count) => total + count, 0)
  if (sum(plan.counts) !== frames || sum(plan.fates) !== frames) {
    return `${frames} frames have ${sum(plan.counts)} classes and ${sum(plan.fates)} fates`
  }
  if (plan.counts.length % guestClasses.length !== 0) return `${plan.counts.length} counts`
  const factor = memory.frameBytes / guest.base.frameBytes
  for (const run of plan.write.allRuns()) {
    for (let pfn = run.start * factor; pfn < endOf(run) * factor; pfn++) {
      if (factor === 1 && guest.states[pfn] !== FRAME.backed) return `frame ${pfn} would be read and is not backed`
    }
  }
  let end = -1
  for (const range of word.linux?.protectedFrames() ?? []) {
    if (range.start <= end || range.count < 1) return `protected frames from ${range.start} on follow ${end}`
    end = endOf(range)
  }
  const text = examined.warnings.reduce((length, warning) => length + warning.text.length, 0)
  return text > MOST_TEXT ? `its warnings have ${text} characters` : undefined
}
