import { type GuestClass, guestClasses } from '@ullage/dump'
import type { FrameWords, SettledTruth } from '@ullage/lab'
import { expectedClasses, TOLD } from './expected-class.ts'

export interface Agreement {
  /** Frames of which the kernel said the same before and after their classes were found. */
  readonly settled: readonly number[]
  /** Settled frames that have another class than the kernel's flags give them, each with what was said of it. */
  readonly wrong: readonly string[]
  /** Settled frames by flag. */
  readonly told: Readonly<Record<string, number>>
  /** Settled frames that are mapped, and their classes. */
  readonly mapped: ReadonlySet<GuestClass>
  /** For each flag: how many frames have it, how many of those moved, and the classes of the others. */
  readonly table: string
}

/** Holds the classes of frames against the word of their kernel. */
export function agreementWith(truth: SettledTruth, seen: ReadonlyMap<number, GuestClass>): Agreement {
  const { kpageflags, kpagecount } = truth.before
  const expected = expectedClasses(kpageflags)
  const classOf = (pfn: number): GuestClass => expected[pfn] ?? 'noStructPage'
  const settled = [...seen.keys()].filter((pfn) => isSettled(truth, pfn))
  const still = new Set(settled)
  const isMapped = (pfn: number): boolean => (kpagecount[pfn] ?? 0n) > 0n
  const row = (name: string, has: (pfn: number) => boolean): string => {
    const all = [...seen.keys()].filter(has)
    const those = all.filter((pfn) => still.has(pfn))
    const agree = those.filter((pfn) => seen.get(pfn) === classOf(pfn)).length
    const counts = guestClasses.flatMap((found) => {
      const count = those.filter((pfn) => seen.get(pfn) === found).length
      return count === 0 ? [] : [`${found} ${count}`]
    })
    const numbers = [all.length, all.length - those.length, agree, those.length - agree]
    return `  ${name.padEnd(14)}${numbers.map((number) => String(number).padStart(8)).join('')}   ${counts.join(', ')}`
  }
  const heading = ['frames', 'moved', 'agree', 'differ'].map((word) => word.padStart(8)).join('')
  const flags = Object.entries(TOLD)
  return {
    settled,
    wrong: settled
      .filter((pfn) => seen.get(pfn) !== classOf(pfn))
      .map((pfn) => `${pfn}: ${seen.get(pfn)}, by its flags ${classOf(pfn)} (${said(truth.before, pfn)})`),
    told: Object.fromEntries(
      flags.map(([name, bit]) => [name, settled.filter((pfn) => has(kpageflags, pfn, bit)).length]),
    ),
    mapped: new Set(settled.filter(isMapped).map((pfn) => seen.get(pfn) as GuestClass)),
    table: [
      `  ${'flag'.padEnd(14)}${heading}   classes`,
      ...flags.map(([name, bit]) => row(name, (pfn) => has(kpageflags, pfn, bit))),
      row('mapped', isMapped),
      row('all', () => true),
    ].join('\n'),
  }
}

/** Beyond its last section the kernel says nothing, which cannot change. */
function isSettled({ before, after }: SettledTruth, pfn: number): boolean {
  return before.kpageflags[pfn] === after.kpageflags[pfn] && before.kpagecount[pfn] === after.kpagecount[pfn]
}

function has(kpageflags: BigUint64Array, pfn: number, bit: number): boolean {
  return (((kpageflags[pfn] ?? 0n) >> BigInt(bit)) & 1n) === 1n
}

function said({ kpageflags, kpagecount }: FrameWords, pfn: number): string {
  const names = Object.entries(TOLD).flatMap(([name, bit]) => (has(kpageflags, pfn, bit) ? [name] : []))
  return `${names.join(' ')}, mapped ${kpagecount[pfn]}`
}
