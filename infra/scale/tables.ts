import type { Results } from '../bench/results.ts'
import { assumptions, type Level } from './assumptions.ts'
import { fleetScenarios } from './fleet-scenarios.ts'
import { measured, type RedisCosts } from './measure-redis.ts'
import type { RedisUse } from './redis-use.ts'
import { simulateGuest, transferMs, type UnitCosts } from './simulate-guest.ts'

const GIB = 2 ** 30
const LEVELS: readonly Level[] = [31, 1]
const KEPT_DAYS = 7

export interface Inputs {
  readonly bench: Results
  readonly costs: Readonly<Record<Level, UnitCosts>>
  readonly redis: RedisCosts
  /** When, on what, by which command Redis and sha256 were measured. */
  readonly measuredHere: string
}

/** All tables, as Markdown. */
export function tables(inputs: Inputs): string {
  return `${[...unitTable(inputs), '', ...redisTable(inputs), '', ...guestTable(inputs), '', ...fleetTable(inputs)].join('\n')}\n`
}

function unitTable({ bench, costs, measuredHere }: Inputs): string[] {
  const { 31: little, 1: much } = costs
  const { machine, date, command, load, notes } = bench
  return [
    '### Measured: what a GiB costs',
    '',
    `By the benchmark, \`${command}\`, ${date.slice(0, 10)}, ${machine.cores} × ${machine.cpu}, Node ${machine.node}, load averages ${load[0]} to ${load.at(-1)}; sha256 here, ${measuredHere}.`,
    ...notes.map((note) => `\n${note}`),
    '',
    ...table(
      ['what', 'figure'],
      [
        ['start of the process, wall', time(little.startMs)],
        [
          'classify, of a synthetic guest of 1 TiB, wall and CPU',
          `${time(little.classifyMsPerGib)} and ${time(little.classifyCpuMsPerGib)} per GiB of guest`,
        ],
        [
          `write, ${assumptions.codec}, CPU, level 1 less level 31`,
          `${time(little.writeCpuMsPerGib)} per GiB of pages`,
        ],
        ['read only, one thread, wall', `${time(little.readMsPerGib)} per GiB of pages`],
        [`verify, ${assumptions.codec}, CPU`, `${time(little.verifyCpuMsPerGib)} per GiB of pages`],
        ['sha256, one thread, CPU', `${time(little.hashMsPerGib)} per GiB of file`],
        [
          'bytes of file per byte of pages, level 31 and 1',
          `${little.bytesOut.toFixed(3)} and ${much.bytesOut.toFixed(3)}`,
        ],
        ['memory, dump of a synthetic guest of 1 TiB', size(little.peakBytes)],
        ['memory that a guest adds', `${little.bitsPerFrame.toFixed(1)} bits a frame`],
      ],
    ),
  ]
}

function redisTable({ redis, measuredHere }: Inputs): string[] {
  const row = (what: string, use: RedisUse): string[] => [
    what,
    figure(use.commands),
    figure(use.scripts),
    figure(use.hints),
    bytes(use.netBytes),
    `${figure(use.cpuMs)} ms`,
  ]
  const { hosts, shortJobs, longJobs, longSeconds } = measured
  return [
    '### Measured: what Redis does',
    '',
    `Here, ${measuredHere}, Redis ${redis.version}: API and workers of the project, ${hosts} hosts of ${redis.guestsPerHost} guests, ${shortJobs} dumps of no length and ${longJobs} of ${longSeconds} s by a stub of the dumping process.`,
    '',
    ...table(
      ['of', 'commands', 'of them scripts', 'hints', 'network', 'CPU'],
      [
        row('a host that has nothing to do, per second', redis.idlePerHostSecond),
        row('the API looks at one host', redis.lookAtHost),
        row('a dump accepted, but for a look at each host', redis.acceptPerJob),
        row('the API looks at one dump', redis.lookAtDump),
        row('a dump made, by the worker', redis.runPerJob),
        row('a dump that runs, by the worker, per second besides', redis.runPerJobSecond),
      ],
    ),
    '',
    `Memory: ${bytes(redis.bytesPerQueuedJob)} a dump that waits, ${bytes(redis.bytesPerFinishedJob)} one that ended and is kept, ${bytes(redis.bytesPerHost)} a host; ${figure(redis.clientsPerHost)} connections a host, with ${bytes(redis.clientBytesPerHost)} of buffers.`,
  ]
}

function guestTable({ costs }: Inputs): string[] {
  const { guestGib, jobs: jobCounts, writtenShare, memoryBytes, uplinkGbit } = assumptions
  const rows = guestGib.flatMap((gib) =>
    LEVELS.flatMap((level) =>
      jobCounts.map((jobs) => {
        const shape = { gib, writtenShare: writtenShare[level], jobs, memoryBytes }
        const cost = simulateGuest(shape, costs[level])
        const held = simulateGuest({ ...shape, memoryBytes: cost.writtenBytes }, costs[level])
        return [
          `${gib / 1024} TiB`,
          `${level}`,
          `${jobs}`,
          time(cost.classifyMs),
          time(cost.writeMs),
          time(cost.verifyMs),
          `${time(cost.pausedMs)} (${time(held.pausedMs)})`,
          time(cost.cpuMs),
          size(cost.peakBytes),
          size(cost.artifactBytes),
          ...uplinkGbit.map((gbit) => time(transferMs(cost.artifactBytes, gbit))),
        ]
      }),
    ),
  )
  const head = ['guest', 'level', 'jobs', 'classify', 'write', 'verify', 'paused (if memory held all)', 'CPU', 'memory']
  return [
    '### Arithmetic: one large guest',
    '',
    ...table([...head, 'artifact', ...uplinkGbit.map((gbit) => `at ${gbit} Gbit/s`)], rows),
  ]
}

function fleetTable({ costs, redis }: Inputs): string[] {
  const { fleet } = assumptions
  const { hosts, guestsPerHost, guestGib, level, concurrency, hostGbit, storageGbit, hourlyShare } = fleet
  const { dump, scenarios } = fleetScenarios(costs[level], redis)
  const rows = scenarios.map(({ what, dumps, outcome, artifactBytes, waitP50Ms, waitP99Ms, redis: use, ...rest }) => {
    const seconds = outcome.endMs / 1000
    return [
      what,
      `${dumps}`,
      time(outcome.endMs),
      ((dumps * 3600) / seconds).toFixed(0),
      `${time(waitP50Ms)} / ${time(waitP99Ms)}`,
      `${outcome.mostRunning} / ${outcome.mostWaiting}`,
      size(artifactBytes),
      percent(outcome.linkUse),
      `${figure(use.commands / seconds)}`,
      `${bytes(use.netBytes / seconds)}/s`,
      percent(use.cpuMs / outcome.endMs),
      `${figure(rest.redisWhileAccepting.commands)}; ${bytes(rest.redisWhileAccepting.netBytes)}; ${time(rest.redisWhileAccepting.cpuMs)}`,
    ]
  })
  const idle = redis.idlePerHostSecond
  const kept = hosts * guestsPerHost * hourlyShare * 24 * KEPT_DAYS
  const base = hosts * (redis.bytesPerHost + redis.clientBytesPerHost)
  const head = ['what', 'dumps', 'until all are done', 'dumps an hour', 'wait p50 / p99', 'most running / waiting']
  const redisHead = [
    'Redis commands/s',
    'Redis network',
    'Redis CPU, of one core',
    'of it all accepting: commands; network; CPU',
  ]
  return [
    `### Arithmetic: ${hosts} hosts`,
    '',
    `${guestsPerHost} guests of ${guestGib} GiB a host, level ${level}, ${concurrency} dump at a time on a host with ${fleet.jobs} jobs, ${hostGbit} Gbit/s a host, ${storageGbit} Gbit/s into the storage that all share. One dump alone: ${time(dump.totalMs)}, ${size(dump.artifactBytes)}, which are written and read back over that link.`,
    '',
    `Doing nothing, the hosts ask Redis ${figure(hosts * idle.commands)} commands/s, ${bytes(hosts * idle.netBytes)}/s, ${percent((hosts * idle.cpuMs) / 1000)} of one core, and hold ${size(base)} of its memory. Dumps of ${percent(hourlyShare)} of the guests an hour, kept ${KEPT_DAYS} days, are ${kept} and take ${size(kept * redis.bytesPerFinishedJob)}; ${percent(fleet.incidentShares.at(-1) ?? 0)} of the guests waiting at once take ${size(hosts * guestsPerHost * (fleet.incidentShares.at(-1) ?? 0) * redis.bytesPerQueuedJob)}.`,
    '',
    ...table([...head, 'artifacts', 'storage link in use', ...redisHead], rows),
  ]
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map((_, i) => (i === 0 ? '---' : '--:')), ...rows].map((row) => `| ${row.join(' | ')} |`)
}

function time(ms: number): string {
  if (ms >= 2 * 3_600_000) return `${figure(ms / 3_600_000)} h`
  if (ms >= 2 * 60_000) return `${figure(ms / 60_000)} min`
  return ms >= 2000 ? `${figure(ms / 1000)} s` : `${figure(ms)} ms`
}

function size(of: number): string {
  return of >= 2 * GIB ? `${figure(of / GIB)} GiB` : `${figure(of / 2 ** 20)} MiB`
}

function bytes(of: number): string {
  if (of >= 2e9) return `${figure(of / 1e9)} GB`
  if (of >= 2e6) return `${figure(of / 1e6)} MB`
  return of >= 2e3 ? `${figure(of / 1e3)} kB` : `${figure(of)} B`
}

function percent(share: number): string {
  return `${figure(share * 100)} %`
}

/** Two or three digits: more would promise what no simulation keeps. */
function figure(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return Math.abs(value) < 1e-9 ? '0' : `${Number(value.toPrecision(2))}`
}
