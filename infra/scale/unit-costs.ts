import { FILTERS, keys } from '../bench/goals.ts'
import type { Results } from '../bench/results.ts'
import { median, Samples } from '../bench/samples.ts'
import { assumptions, type Level } from './assumptions.ts'
import type { UnitCosts } from './simulate-guest.ts'

const GIB = 2 ** 30
const FRAMES_PER_GIB = 2 ** 18
/** Struct pages of a guest, of its RAM: 64 bytes a frame of 4096. */
const STRUCT_PAGE_SHARE = 1 / 64
/** By design, see packages/dump/README.md; a measured slope below it is noise. */
const LEAST_BITS_PER_FRAME = 3
const [SMALLER_GIB, LARGER_GIB] = [64, 1024]

/**
 * What a GiB costs, from kept results of the benchmark. What pages cost is the difference between the dumps of level 1 and
 * 31 of the same guest, so that nothing that a dump costs once is in it. Throws when a figure was not measured, or when the
 * difference is none.
 */
export function unitCosts(results: Results, level: Level, hashMsPerGib: number): UnitCosts {
  const samples = new Samples(results.samples)
  const { codec } = assumptions
  const figure = (key: string, field: string): number => {
    const value = median(samples.values(key, field) ?? [])
    if (Number.isNaN(value)) throw new Error(`the benchmark's results lack ${field} of "${key}": run all its rows`)
    return value
  }
  const filter = (ofLevel: Level) => {
    const found = FILTERS.find((one) => one.level === ofLevel && one.codec === codec)
    if (found === undefined) throw new Error(`the benchmark has no dump of level ${ofLevel} by ${codec}`)
    return found
  }
  const [little, much] = [keys.dump('ram', filter(31)), keys.dump('ram', filter(1))]
  const gib = figure(much, 'gib') - figure(little, 'gib')
  const writeCpuMsPerGib = (figure(much, 'cpuMs') - figure(little, 'cpuMs')) / gib
  if (!(gib > 0 && writeCpuMsPerGib > 0))
    throw new Error('in the results, level 1 costs no more than level 31: measure again')
  if (results.guest === null) throw new Error('no guest was dumped in these results: run all rows of the benchmark')
  const copiedGib = figure(keys.running, 'gib') + (results.guest.memMiB / 1024) * STRUCT_PAGE_SHARE
  const [smaller, larger] = [SMALLER_GIB, LARGER_GIB].map((size) => figure(keys.classify(size), 'peakBytes')) as [
    number,
    number,
  ]
  const ofLevel = keys.dump('ram', filter(level))
  return {
    startMs: figure(keys.version, 'wallMs'),
    classifyMsPerGib: figure(keys.classify(LARGER_GIB), 'classifyMsPerGib'),
    classifyCpuMsPerGib: figure(keys.classify(LARGER_GIB), 'cpuMs') / LARGER_GIB,
    writeCpuMsPerGib,
    readMsPerGib: figure(keys.running, 'copyMs') / copiedGib,
    verifyCpuMsPerGib: (figure(keys.verify(filter(1)), 'cpuMs') - figure(keys.version, 'cpuMs')) / figure(much, 'gib'),
    hashMsPerGib,
    bytesOut: figure(ofLevel, 'bytes') / (figure(ofLevel, 'gib') * GIB),
    peakBytes: figure(keys.large, 'peakBytes'),
    peakGib: LARGER_GIB,
    bitsPerFrame: Math.max(
      LEAST_BITS_PER_FRAME,
      ((larger - smaller) * 8) / ((LARGER_GIB - SMALLER_GIB) * FRAMES_PER_GIB),
    ),
  }
}
