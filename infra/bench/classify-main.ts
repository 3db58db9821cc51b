// One guest, classified in a process of its own; told on standard input by measure-classify.ts, which starts it.
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { pagesOf } from '@ullage/dump'
import { openLargeGuest } from '@ullage/lab'
import type { ClassifyCall, ClassifyFigures } from './measure-classify.ts'

/** As large as the pieces that struct pages are read in, or larger. */
const READ_FRAMES = 512

interface Round {
  readonly ms: number
  readonly cpuMs: number
}

const { guest, rounds = 0, holes = 'busy' } = JSON.parse(await text(process.stdin)) as ClassifyCall

await using open = openLargeGuest(guest, holes)

async function classify(): Promise<Round> {
  const start = performance.now()
  const cpu = process.cpuUsage()
  const { frames, warnings } = await pagesOf(open, { pause: false })
  const { user, system } = process.cpuUsage(cpu)
  const ms = performance.now() - start
  // Holes in every second frame leave some without memory that are in use.
  const expected: readonly string[] = holes === 'alternate' ? ['IN_USE_UNBACKED'] : []
  if (frames.total !== guest.frames || warnings.some(({ code }) => !expected.includes(code))) {
    throw new Error(`${frames.total} of ${guest.frames} frames, ${JSON.stringify(warnings)}`)
  }
  return { ms, cpuMs: (user + system) / 1000 }
}

function readOnce(): Round {
  const into = new Uint8Array(READ_FRAMES * open.memory.frameBytes)
  const start = performance.now()
  const cpu = process.cpuUsage()
  for (const first of guest.structPages) open.memory.read({ start: first, count: READ_FRAMES }, into)
  const { user, system } = process.cpuUsage(cpu)
  return { ms: performance.now() - start, cpuMs: (user + system) / 1000 }
}

function statusBytes(name: string): number {
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
  if (kibibytes === undefined) throw new Error(`/proc/self/status has no ${name}`)
  return Number(kibibytes) * 1024
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

const baseBytes = statusBytes('VmRSS')
const cold = await classify()
const peakBytes = statusBytes('VmHWM')
const coldRead = readOnce()
const warm: { classify: Round; read: Round }[] = []
for (let round = 0; round < rounds; round++) warm.push({ classify: await classify(), read: readOnce() })
const figures: ClassifyFigures = {
  classifyMs: cold.ms,
  readMs: coldRead.ms,
  cpuMs: cold.cpuMs,
  readCpuMs: coldRead.cpuMs,
  peakBytes,
  frames: guest.frames,
  warm: {
    classifyMs: median(warm.map((round) => round.classify.ms)),
    cpuMs: median(warm.map((round) => round.classify.cpuMs)),
    readMs: median(warm.map((round) => round.read.ms)),
    readCpuMs: median(warm.map((round) => round.read.cpuMs)),
  },
  baseBytes,
}
console.log(JSON.stringify(figures))
