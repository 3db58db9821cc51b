import type { GuardedKind, GuardReport, MissingRun, Touch } from '@ullage/dump'
import type { PfnRange } from '@ullage/pages'
import { humanBytes } from './human.ts'

const KINDS: Readonly<Record<GuardedKind, string>> = {
  range: 'asked for',
  segment: 'where the loaded kernel will run',
  source: 'where it waits until then',
  control: 'code and tables of the jump',
  crashSegment: 'where the crash kernel is',
  crashkernel: 'the crashkernel= area',
}

const TOUCH: Readonly<Record<Touch, string>> = {
  nothing: 'not there',
  filled: 'filled when touched',
  taken: 'there, but given away',
}

const UNTOLD = 'all of them are there, but they may not be all that the guest needs: it must not kexec'

/** Ranges and runs that are listed; `--json` has all. */
const MAX_LINES = 40

/** A report of the guard as text. */
export function formatGuard(report: GuardReport): string {
  const { guest, frames } = report
  const lines = [`${guest.kernel ?? 'unknown kernel'} (${guest.backend}), frames of ${report.frameBytes} bytes`]
  if (report.ranges.length === 0) return [...lines, '', 'no kernel is loaded: nothing to guard'].join('\n')
  lines.push('', `${frames.guarded} frames (${humanBytes(frames.guarded * report.frameBytes)}) to guard:`)
  lines.push(...capped(kindsOf(report), (line) => line))
  const missing = frames.missing.nothing + frames.missing.filled + frames.missing.taken
  if (missing === 0) return [...lines, '', report.safe ? 'all of them are there' : UNTOLD].join('\n')
  lines.push('', `${missing} frames are offline or have no memory:`)
  lines.push(...capped(report.missing, (run) => runLine(run, report.frameBytes)))
  lines.push('', ...todo(report), report.safe ? 'the guest may kexec' : 'the guest must not kexec')
  return lines.join('\n')
}

/** One line for each range of few; sums for a kind that has many, as pages that wait anywhere in memory do. */
function kindsOf({ ranges, frameBytes }: GuardReport): string[] {
  const kinds = Object.keys(KINDS) as GuardedKind[]
  return kinds.flatMap((kind) => {
    const own = ranges.filter((range) => range.kind === kind)
    const state = (missing: number): string => (missing === 0 ? '' : `, ${missing} missing`)
    if (own.length <= 16) {
      return own.map(
        (range) => `  ${addresses(range, frameBytes)}  ${range.count} frames  ${KINDS[kind]}${state(range.missing)}`,
      )
    }
    const count = own.reduce((sum, range) => sum + range.count, 0)
    const missing = own.reduce((sum, range) => sum + range.missing, 0)
    return [`  ${own.length} ranges  ${count} frames  ${KINDS[kind]}${state(missing)}`]
  })
}

function runLine(run: MissingRun, frameBytes: number): string {
  const word = run.guest === null ? 'no guest RAM' : `guest ${run.guest}, host ${run.host}`
  return `  ${addresses(run, frameBytes)}  ${run.count} frames  ${word}: ${TOUCH[run.touch]}`
}

function todo({ giveBack, frameBytes }: GuardReport): string[] {
  if (!giveBack) return []
  if (giveBack.kind === 'deflate') {
    const size = humanBytes(giveBack.atWorst * frameBytes)
    return [
      `to be sure, deflate the balloon by ${giveBack.atWorst} frames (${size}): the guest chooses what it takes back`,
    ]
  }
  const { ranges, others } = giveBack
  return [
    ...(ranges.length > 0 ? ['ranges of the balloon to give back:'] : []),
    ...capped(ranges, (range) => `  ${addresses(range, frameBytes)}  ${range.count} frames from frame ${range.start}`),
    ...(others > 0 ? [`${others} of the frames are in no range of the balloon: they were never added`] : []),
  ]
}

function addresses({ start, count }: PfnRange, frameBytes: number): string {
  return `0x${(start * frameBytes).toString(16)}-0x${((start + count) * frameBytes).toString(16)}`
}

function capped<T>(items: readonly T[], line: (item: T) => string): string[] {
  const more = items.length - MAX_LINES
  return [...items.slice(0, MAX_LINES).map(line), ...(more > 0 ? [`  and ${more} more`] : [])]
}
