import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchOptions } from './bench-options.ts'
import { DumpRounds, type RoundOptions } from './dump-rounds.ts'
import { CLASSIFY_GIB } from './goals.ts'
import { bootBenchGuest } from './guest/bench-guest.ts'
import { FULL_GUEST, QUICK_GUEST } from './guest/guest-size.ts'
import { type ContentFigures, measureContent } from './guest/measure-content.ts'
import { refuseUnfitContent } from './guest/refuse-unfit-content.ts'
import { stopGuest } from './guest/stopped-guest.ts'
import { describeMachine, machineLoad, refuseWithoutRoom } from './machine.ts'
import { classifyRound, dumpOfLargeGuest, startRound } from './other-rounds.ts'
import { pauseRound } from './pause-rounds.ts'
import { type Results, resultsText } from './results.ts'
import { Samples } from './samples.ts'
import { canLeaveOutVerify } from './ullage.ts'

const RESULTS = join(import.meta.dirname, 'results')

/** Runs the benchmark, saying what it does, and writes everything it measured beside this file. */
export async function measure(options: BenchOptions, signal: AbortSignal): Promise<Results> {
  const { rounds, groups, isQuick } = options
  const samples = new Samples()
  const load: string[] = []
  const say = timedSay()
  const round: RoundOptions = { samples, signal, say: (text) => say(`  ${text}`) }
  const inRounds = async (what: string, run: (index: number) => Promise<void>): Promise<void> => {
    for (let index = 0; index < rounds; index++) {
      signal.throwIfAborted()
      load.push(machineLoad())
      say(`${what}, round ${index + 1} of ${rounds}, load averages ${load.at(-1)}`)
      await run(index)
    }
  }
  const dumpsGuest = (['whole', 'filter', 'pause'] as const).some((group) => groups.has(group))
  const notes =
    dumpsGuest && !(await canLeaveOutVerify({ signal }))
      ? ['This `ullage dump` cannot leave out the reading back: its wall time is taken off, its CPU time is not.']
      : []

  const dumpedGuest = dumpsGuest ? await dumpInRounds() : null
  if (groups.has('classify')) {
    const sizes = isQuick ? CLASSIFY_GIB.slice(0, 1) : CLASSIFY_GIB
    await inRounds('classify', () => classifyRound(sizes, round))
  }
  if (groups.has('memory') && !isQuick) await dumpOfLargeGuest(round)
  if (groups.has('start')) await inRounds('start-up', () => startRound(round))
  load.push(machineLoad())
  const results: Results = {
    schema: 'ullage.bench/1',
    date: new Date().toISOString(),
    command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
    rounds,
    machine: describeMachine(),
    guest: dumpedGuest,
    load,
    notes,
    samples: samples.toJSON(),
  }
  mkdirSync(RESULTS, { recursive: true })
  const path = join(RESULTS, `${results.date.replaceAll(':', '-')}.json`)
  writeFileSync(path, resultsText(results))
  say(`done; all that was measured is in ${path}`)
  return results

  async function dumpInRounds(): Promise<Results['guest']> {
    const size = isQuick ? QUICK_GUEST : FULL_GUEST
    refuseWithoutRoom(size)
    say(`booting a guest of ${size.memMiB} MiB and filling its memory`)
    const { guest, parts } = await bootBenchGuest(size, signal)
    await using _ = guest
    const stopped = await stopGuest(guest)
    const content = measureContent(guest.ramFiles[0] ?? '', stopped.holes.ranges)
    say(describeContent(content))
    refuseUnfitContent(content, size)
    if (groups.has('whole') || groups.has('filter')) {
      const dumps = new DumpRounds(stopped, groups, round)
      await inRounds('dumps', (index) => dumps.run(index))
    }
    if (groups.has('pause')) await inRounds('pause', () => pauseRound(stopped, round))
    const { memMiB, balloonMiB } = size
    return { kernel: guest.era.release, memMiB, balloonMiB, ...content, ...parts }
  }
}

/** Says a line on stderr, with the seconds since the first. */
function timedSay(): (text: string) => void {
  const started = performance.now()
  return (text) => {
    const seconds = ((performance.now() - started) / 1000).toFixed(0).padStart(5)
    process.stderr.write(`${seconds} s  ${text}\n`)
  }
}

function describeContent({ nonZeroPages, backedPages, lzoRatio, duplicateShare }: ContentFigures): string {
  return `its memory: ${nonZeroPages} of ${backedPages} backed pages are not zeros, lzo makes 1/${lzoRatio.toFixed(3)} of them, ${(duplicateShare * 100).toFixed(2)} % are like another`
}
