import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What Redis has done: since its start, in some time, or for one of something. */
export interface RedisUse {
  /** Executed, those inside scripts included. */
  readonly commands: number
  /** Scripts run, which is how BullMQ does nearly everything. */
  readonly scripts: number
  /** Messages published: workers' hints that a dump has changed. */
  readonly hints: number
  /** Both ways. */
  readonly netBytes: number
  /** User and system time of the server. */
  readonly cpuMs: number
}

export interface RedisState extends RedisUse {
  readonly atMs: number
  readonly version: string
  /** Hashes read whole (HGETALL): the API does that once when it looks at a dump. */
  readonly hashReads: number
  /** Of keys and values: without scripts, and without the buffers of clients and of the append-only file. */
  readonly dataBytes: number
  readonly clients: number
  readonly clientBytes: number
}

/** Asks a Redis on a unix socket by redis-cli; what that asks is left out of the commands. */
export async function redisState(socketPath: string): Promise<RedisState> {
  const { stdout } = await run('redis-cli', ['-s', socketPath, 'INFO', 'ALL'])
  return parseInfo(stdout, performance.now())
}

/** Throws where INFO lacks a figure. */
export function parseInfo(text: string, atMs: number): RedisState {
  const lines = new Map(
    text.split(/\r?\n/).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':')
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]]
    }),
  )
  const number = (name: string): number => {
    const value = Number(lines.get(name) ?? Number.NaN)
    if (Number.isNaN(value)) throw new Error(`Redis INFO has no ${name}`)
    return value
  }
  const calls = [...lines].flatMap(([name, value]): [string, number][] =>
    name.startsWith('cmdstat_') ? [[name.slice(8), Number(/^calls=(\d+)/.exec(value)?.[1])]] : [],
  )
  const sum = (keep: (name: string) => boolean): number =>
    calls.reduce((total, [name, count]) => total + (keep(name) ? count : 0), 0)
  return {
    atMs,
    version: lines.get('redis_version') ?? 'unknown',
    commands: sum((name) => name !== 'info'),
    scripts: sum((name) => name === 'eval' || name === 'evalsha'),
    hints: sum((name) => name === 'publish'),
    hashReads: sum((name) => name === 'hgetall'),
    netBytes: number('total_net_input_bytes') + number('total_net_output_bytes'),
    cpuMs: (number('used_cpu_user') + number('used_cpu_sys')) * 1000,
    dataBytes: ['mem_clients_normal', 'mem_aof_buffer', 'used_memory_scripts_eval'].reduce(
      (left, name) => left - number(name),
      number('used_memory'),
    ),
    clients: number('connected_clients'),
    clientBytes: number('mem_clients_normal'),
  }
}

/** Field by field `a + times × b`. */
export function plus(a: RedisUse, b: RedisUse, times = 1): RedisUse {
  return {
    commands: a.commands + times * b.commands,
    scripts: a.scripts + times * b.scripts,
    hints: a.hints + times * b.hints,
    netBytes: a.netBytes + times * b.netBytes,
    cpuMs: a.cpuMs + times * b.cpuMs,
  }
}

export const NO_USE: RedisUse = { commands: 0, scripts: 0, hints: 0, netBytes: 0, cpuMs: 0 }

export function scaled(use: RedisUse, by: number): RedisUse {
  return plus(NO_USE, use, by)
}

/**
 * Two batches, each so many jobs that ran so many seconds altogether and cost so much: what a job costs, and what a second
 * of one costs besides. Throws RangeError when jobs of both batches are equally long.
 */
export function perJobAndSecond(
  a: { jobs: number; seconds: number; use: RedisUse },
  b: { jobs: number; seconds: number; use: RedisUse },
): { perJob: RedisUse; perSecond: RedisUse } {
  const determinant = a.jobs * b.seconds - b.jobs * a.seconds
  if (determinant === 0) throw new RangeError('expected batches of jobs that differ in length')
  return {
    perJob: scaled(plus(scaled(a.use, b.seconds), b.use, -a.seconds), 1 / determinant),
    perSecond: scaled(plus(scaled(b.use, a.jobs), a.use, -b.jobs), 1 / determinant),
  }
}
