import type { BenchOptions } from './bench-options.ts'
import { DumpRounds, type RoundOptions } from './dump-rounds.ts'
import { floorRound } from './floor-round.ts'
import { CLASSIFY_GIB } from './goals.ts'
import { bootBenchGuest } from './guest/bench-guest.ts'
import { FULL_GUEST, QUICK_GUEST } from './guest/guest-size.ts'
import { type ContentFigures, measureContent } from './guest/measure-content.ts'
import { refuseUnfitContent } from './guest/refuse-unfit-content.ts'
import { stopGuest } from './guest/stopped-guest.ts'
import { refuseWithoutRoom } from './machine.ts'
import { classifyRound, dumpOfLargeGuest, startRound } from './other-rounds.ts'
import { pauseRound } from './pause-rounds.ts'
import type { Results } from './results.ts'
import { Samples } from './samples.ts'
import { startResults } from './start-results.ts'

/**
 * Runs the benchmark, saying what it does. What was measured so far is written to a file after each round, and when a round
 * breaks off.
 */
export async function measure(options: BenchOptions, signal: AbortSignal): Promise<Results> {
  const { rounds, groups, isQuick } = options
  const samples = new Samples()
  const say = timedSay()

  const dumpsGuest = (['whole', 'filter', 'pause', 'floor'] as const).some((group) => groups.has(group))
  const save = startResults(options, samples)
  const round: RoundOptions = { samples, signal, say: (text) => say(`  ${text}`), note: save.note }
  if (dumpsGuest) await dumpInRounds()
  if (groups.has('classify')) {
    const sizes = isQuick ? CLASSIFY_GIB.slice(0, 1) : CLASSIFY_GIB
    await inRounds('classify', () => classifyRound(sizes, round))
  }
  if (groups.has('memory') && !isQuick) {
    await dumpOfLargeGuest(round)
    save.write()
  }
  if (groups.has('start')) await inRounds('start-up', () => startRound(round))
  const results = save.write()
  say(`done; all that was measured is in ${save.path}`)
  return results

  async function inRounds(what: string, run: (index: number) => Promise<void>): Promise<void> {
    for (let index = 0; index < rounds; index++) {
      signal.throwIfAborted()
      say(`${what}, round ${index + 1} of ${rounds}, load averages ${save.load()}`)
      try {
        await run(index)
      } finally {
        save.write()
      }
    }
  }

  async function dumpInRounds(): Promise<void> {
    const size = isQuick ? QUICK_GUEST : FULL_GUEST
    refuseWithoutRoom(size)
    say(`booting a guest of ${size.memMiB} MiB and filling its memory`)
    const { guest, parts } = await bootBenchGuest(size, signal)
    await using _ = guest
    const stopped = await stopGuest(guest)
    const content = measureContent(guest.ramFiles[0] ?? '', stopped.holes.ranges)
    say(describeContent(content))
    refuseUnfitContent(content, size)
    const { memMiB, balloonMiB } = size
    save.guest({ kernel: guest.era.release, memMiB, balloonMiB, ...content, ...parts })
    if (groups.has('whole') || groups.has('filter')) {
      const dumps = new DumpRounds(stopped, groups, round)
      await inRounds('dumps', (index) => dumps.run(index))
    }
    if (groups.has('floor')) await inRounds('each part alone', async () => floorRound(stopped, round))
    if (groups.has('pause')) await inRounds('pause', () => pauseRound(stopped, round))
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
