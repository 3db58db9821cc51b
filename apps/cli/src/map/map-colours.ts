import { type GuestClass, guestClasses, type HostState, hostStates } from '@ullage/dump'

/**
 * A hue for each class that people who see few colours can tell apart (after Paul Tol's "muted" and "vibrant" schemes, and
 * greys), what it holds, and the order in which classes are stacked, from below.
 */
const CLASSES: readonly (readonly [name: GuestClass, hue: string, holds: string])[] = [
  ['inUse', '#332288', 'kernel, slab, page tables, all else in use'],
  ['user', '#cc6677', 'anonymous memory, hugetlb'],
  ['cachePrivate', '#999933', 'page cache with private data'],
  ['cache', '#c9b440', 'page cache'],
  ['free', '#1b8a7a', 'in the buddy allocator'],
  ['unaccepted', '#aa4499', 'not accepted yet'],
  ['offline', '#e8691b', 'ballooned, unplugged, not onlined'],
  ['hwpoison', '#000000', 'broken memory'],
  ['noStructPage', '#7f7f7f', 'the kernel describes no such frame'],
  ['unknown', '#3a9fd0', 'what the guest says cannot be known'],
]

/** How much of the hue is left in each state; the rest is white. */
const STRENGTH: Readonly<Record<HostState, number>> = { backed: 1, swapped: 0.72, unknown: 0.5, unbacked: 0.3 }

/** Order of states in a stack, from below. */
const STATE_ORDER: readonly HostState[] = ['backed', 'swapped', 'unknown', 'unbacked']

/** Combinations (`class * states + state`) in the order in which they are stacked, from below. */
export const STACK_ORDER: readonly number[] = CLASSES.flatMap(([name]) =>
  STATE_ORDER.map((state) => combinationOf(name, state)),
)

export interface ClassColours {
  readonly name: GuestClass
  readonly holds: string
}

/** Classes as the legend lists them, from above as they are stacked. */
export const LEGEND: readonly ClassColours[] = CLASSES.map(([name, , holds]) => ({ name, holds })).reverse()
export const LEGEND_STATES = STATE_ORDER

const HUES = new Map<GuestClass, string>(CLASSES.map(([name, hue]) => [name, hue]))

export function combinationOf(name: GuestClass, state: HostState): number {
  return guestClasses.indexOf(name) * hostStates.length + hostStates.indexOf(state)
}

/** Colour of a combination, as `#rrggbb`. */
export function colourOf(combination: number): string {
  const name = guestClasses[Math.floor(combination / hostStates.length)] ?? 'unknown'
  const strength = STRENGTH[hostStates[combination % hostStates.length] ?? 'unknown']
  const hue = HUES.get(name) ?? '#000000'
  const channels = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hue.slice(at, at + 2), 16)
    return Math.round(255 - (255 - value) * strength)
  })
  return `#${channels.map((value) => value.toString(16).padStart(2, '0')).join('')}`
}
