import type { PfnRange } from '@ullage/pages'

/**
 * One of QEMU's hv_balloon trace events, as far as it tells of frames. Ref: QEMU hw/hyperv/trace-events, and
 * hw/hyperv/hv-balloon.c for when each is traced. Ranges count frames of 4096 bytes.
 */
export type TraceEvent =
  | { readonly kind: 'state'; readonly state: string }
  | { readonly kind: 'version'; readonly major: number; readonly minor: number }
  | { readonly kind: 'balloonRequest'; readonly pages: number }
  /** The head of the guest's answer; the ranges follow, neighbours joined. */
  | { readonly kind: 'balloonAnswer'; readonly ranges: number; readonly more: boolean }
  | { readonly kind: 'removed'; readonly range: PfnRange }
  | { readonly kind: 'unballoonRequest'; readonly range: PfnRange; readonly more: boolean }
  | { readonly kind: 'unballoonAnswer' }
  | { readonly kind: 'hotAddRequest'; readonly range: PfnRange }
  | { readonly kind: 'hotAddAnswer'; readonly pages: number; readonly isSuccess: boolean }
  /** Says nothing of frames that other events do not. */
  | { readonly kind: 'aside' }
  /** A hv_balloon event of no known name or form: what it told is lost. */
  | { readonly kind: 'unreadable'; readonly name: string }

/** The log backend puts thread and time before an event where QEMU runs with -msg timestamp=on. */
const LINE = /^(?:\d+@\d+\.\d+:)?hv_balloon_([a-z_]+) (.*)$/

const ASIDE: ReadonlySet<string> = new Set([
  'incoming_caps',
  'our_range_add',
  'map_slot',
  'unmap_slot',
  // Where QEMU keeps the parts of a range that has been traced as a whole.
  'remove_response_hole',
  'remove_response_common',
  'remove_response_remainder',
])

interface Form {
  readonly pattern: RegExp
  event(fields: readonly number[], text: string): TraceEvent | undefined
}

const forms: Readonly<Record<string, Form>> = {
  state_change: { pattern: /^-> (S_[A-Z_]+)$/, event: (_, state) => ({ kind: 'state', state }) },
  incoming_version: {
    pattern: /^incoming proto version (\d+)\.(\d+)$/,
    event: ([major = 0, minor = 0]) => ({ kind: 'version', major, minor }),
  },
  outgoing_balloon: {
    pattern: /^posting balloon \d+ for (\d+), remaining \d+$/,
    event: ([pages = 0]) => ({ kind: 'balloonRequest', pages }),
  },
  incoming_balloon: {
    pattern: /^incoming balloon response \d+, ranges (\d+), more (\d+)$/,
    event: ([ranges = 0, more]) => ({ kind: 'balloonAnswer', ranges, more: more !== 0 }),
  },
  remove_response: {
    pattern: /^processing remove response range (\d+) @ (0x[0-9a-f]+), both [01]$/,
    event: ([count = 0, start = 0]) => (count === 0 ? { kind: 'aside' } : ranged({ start, count }, 'removed')),
  },
  outgoing_unballoon: {
    pattern: /^posting unballoon \d+ for (\d+) @ (0x[0-9a-f]+), remaining (\d+)$/,
    event([count = 0, start = 0, remaining = 0]) {
      const range = checked({ start, count })
      return range && { kind: 'unballoonRequest', range, more: remaining > 0 }
    },
  },
  incoming_unballoon: {
    pattern: /^incoming unballoon response \d+$/,
    event: () => ({ kind: 'unballoonAnswer' }),
  },
  outgoing_hot_add: {
    pattern: /^posting hot add \d+ for (\d+) @ (0x[0-9a-f]+)$/,
    event: ([count = 0, start = 0]) => ranged({ start, count }, 'hotAddRequest'),
  },
  incoming_hot_add: {
    pattern: /^incoming hot add response \d+, result (\d+), count (\d+)$/,
    // QEMU takes no count of a guest that says no.
    event: ([result, pages = 0]) => ({
      kind: 'hotAddAnswer',
      pages: result === 0 ? 0 : pages,
      isSuccess: result !== 0,
    }),
  },
}

/** Reads one line of QEMU's log. Undefined for a line that is no hv_balloon event. */
export function parseTraceEvent(line: string): TraceEvent | undefined {
  const [, name, text = ''] = LINE.exec(line) ?? []
  if (name === undefined) return undefined
  if (ASIDE.has(name)) return { kind: 'aside' }
  const form = Object.hasOwn(forms, name) ? forms[name] : undefined
  const match = form?.pattern.exec(text)
  const fields = (match ?? []).slice(1)
  return (match && form?.event(fields.map(Number), fields[0] ?? '')) ?? { kind: 'unreadable', name }
}

function ranged(range: PfnRange, kind: 'removed' | 'hotAddRequest'): TraceEvent | undefined {
  return checked(range) && { kind, range }
}

function checked(range: PfnRange): PfnRange | undefined {
  return range.count > 0 && Number.isSafeInteger(range.start + range.count) ? range : undefined
}
