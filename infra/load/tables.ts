import type { RealDumps } from './real-dumps.ts'
import type { StubJobs } from './stub-jobs.ts'

/** What was measured, as Markdown. */
export function tables(measuredHere: string, stub: StubJobs, real: RealDumps): string {
  const lines = [
    measuredHere,
    '',
    '| request, four clients | per second | half within | 99 % within | requests |',
    '| --- | --: | --: | --: | --: |',
    ...stub.requests.map(
      ({ what, perSecond, p50Ms, p99Ms, count }) =>
        `| \`${what}\` | ${perSecond.toFixed(0)} | ${p50Ms.toFixed(1)} ms | ${p99Ms.toFixed(1)} ms | ${count} |`,
    ),
    '',
    '| | by a stub | real |',
    '| --- | --: | --: |',
    `| hosts | ${stub.hosts} | 1 |`,
    `| guests | ${stub.jobs} | ${real.guests} |`,
    `| dumps accepted | ${stub.jobs} | ${real.dumps} |`,
    `| dumps at the same time on a host | 1 | ${real.atOnce} |`,
    `| how they ended | ${states(stub.states)} | ${states(real.states)} |`,
    `| published | ${stub.published} | ${real.states['succeeded'] ?? 0} |`,
    `| requests refused, for the guest had a dump | ${stub.refused} of ${stub.jobs} | ${real.refused} |`,
    `| looks at who has a dump; guests seen with two | | ${real.watch.looks}; ${real.watch.overbooked.length} |`,
    `| guests that run at the end | | ${real.guestStates.filter((state) => state === 'running').length} of ${real.guests} |`,
    `| the guests' memory on the host, before and after | | ${real.backedBytes.map(mib).join(' and ')} |`,
    `| from the first request to the last end | ${stub.seconds.toFixed(0)} s | ${real.seconds.toFixed(0)} s |`,
  ]
  return `${lines.join('\n')}\n`
}

function states(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ')
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
