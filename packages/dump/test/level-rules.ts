import { hasBit, type KdumpFrames } from '@ullage/lab'
import type { PfnSet } from '@ullage/pages'

/** What is known of a guest's frames without any classes of ours, but for those it protects. */
export interface LevelFacts {
  /** Frames that the guest's kernel calls offline or broken. */
  readonly offline: ReadonlySet<number>
  /** By the guest's kernel. */
  hasStructPage(pfn: number): boolean
  /** By the host, before anything was dumped. */
  isBacked(pfn: number): boolean
  readonly guarded: PfnSet
  /** makedumpfile's dumps of the same memory, by level: 0, 1 and 16 at least. */
  readonly theirs: ReadonlyMap<number, KdumpFrames>
}

export interface ExpectedFrame {
  readonly present: boolean
  readonly stored: boolean
  readonly zero: boolean
}

const RULES = ['offline', 'freeUnbacked', 'noStructPage', 'guarded', 'zeroUnbacked'] as const
type Rule = (typeof RULES)[number]

/**
 * What a dump of ours is to hold, computed from makedumpfile's dump of the same memory and the rules in which the two differ
 * on purpose. Everything else is to be equal.
 *
 * - `offline`: offline and broken frames are left out at every level. makedumpfile does so too where it walks the struct
 *   pages at all: at levels 0 and 1 only if the kernel exports PG_hwpoison (makedumpfile.c create_2nd_bitmap)
 * - `freeUnbacked`: a free frame without memory is left out at every level
 * - `noStructPage`: a frame with neither struct page nor memory is left out at every level, and not present
 * - `guarded`: a protected frame that is not free is kept at every level
 * - `zeroUnbacked`: a kept frame without memory is a zero page at every level; makedumpfile knows zero pages by bit 1 only
 */
export class LevelRules {
  readonly #facts: LevelFacts
  readonly #zeroAt1: KdumpFrames
  readonly #levels: ReadonlyMap<number, { readonly theirs: KdumpFrames; readonly changed: Map<Rule, number> }>
  readonly #kept: KdumpFrames
  readonly #withoutFree: KdumpFrames

  constructor(facts: LevelFacts) {
    this.#facts = facts
    this.#levels = new Map([...facts.theirs].map(([level, theirs]) => [level, { theirs, changed: new Map() }]))
    this.#kept = this.#at(0).theirs
    this.#zeroAt1 = this.#at(1).theirs
    this.#withoutFree = this.#at(16).theirs
  }

  /** What our dump is to hold of a frame of guest RAM. Counts where that is not what makedumpfile's holds. */
  expect(level: number, pfn: number): ExpectedFrame {
    const { theirs, changed } = this.#at(level)
    const isStored = hasBit(theirs.stored, pfn)
    const isZero = hasBit(theirs.zero, pfn)
    const rule = this.#ruleOf(pfn)
    const stored = rule === 'guarded' || (rule === undefined && isStored)
    const isUnbacked = !this.#facts.isBacked(pfn)
    const zero = stored && (isUnbacked || (isStored ? isZero : level % 2 === 1 && hasBit(this.#zeroAt1.zero, pfn)))
    if (rule !== undefined && stored !== isStored) changed.set(rule, (changed.get(rule) ?? 0) + 1)
    else if (zero !== isZero && isUnbacked) changed.set('zeroUnbacked', (changed.get('zeroUnbacked') ?? 0) + 1)
    return { present: rule !== 'noStructPage', stored, zero }
  }

  /** Number of frames that makedumpfile stores at this level. */
  storedBy(level: number): number {
    return bits(this.#at(level).theirs.stored)
  }

  /** Per level: frames that makedumpfile stores, its zero pages, and those that each rule changes. */
  table(levels: readonly number[]): string {
    const rows = levels.map((level) => {
      const { theirs, changed } = this.#at(level)
      const numbers = [level, this.storedBy(level), bits(theirs.zero), ...RULES.map((rule) => changed.get(rule) ?? 0)]
      return numbers.map((number) => String(number).padStart(14)).join('')
    })
    const head = ['level', 'stored', 'zero', ...RULES].map((name) => name.padStart(14)).join('')
    return [head, ...rows].join('\n')
  }

  #ruleOf(pfn: number): Exclude<Rule, 'zeroUnbacked'> | undefined {
    const { offline, guarded, isBacked, hasStructPage } = this.#facts
    if (offline.has(pfn)) return 'offline'
    const isFree = hasBit(this.#kept.stored, pfn) && !hasBit(this.#withoutFree.stored, pfn)
    if (!isBacked(pfn) && !hasStructPage(pfn)) return 'noStructPage'
    if (!isBacked(pfn) && isFree) return 'freeUnbacked'
    return guarded.has(pfn) && !isFree ? 'guarded' : undefined
  }

  #at(level: number) {
    const found = this.#levels.get(level)
    if (!found) throw new Error(`no dump of makedumpfile's at level ${level}`)
    return found
  }
}

function bits(bitmap: Uint8Array): number {
  let count = 0
  for (let byte of bitmap) for (; byte !== 0; byte &= byte - 1) count++
  return count
}
