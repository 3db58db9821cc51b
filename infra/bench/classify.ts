// What `ullage pages` costs a guest of each size, beside one reading of the struct pages: classify.ts [GiB …]
import { loadavg } from 'node:os'
import { measureClassify } from './measure-classify.ts'

const sizes = process.argv.slice(2).map(Number)
const kinds = ['wall', 'CPU'] as const
console.log(
  `load ${loadavg()
    .map((load) => load.toFixed(1))
    .join(' ')}; milliseconds per GiB, ratio to reading`,
)
console.log(
  ['GiB', ...['first', 'warm'].flatMap((when) => kinds.map((kind) => `${when} ${kind}`)), 'peak MiB'].join('\t'),
)
for (const gib of sizes.length > 0 ? sizes : [1, 4, 64, 1024]) {
  const first = await measureClassify(gib, { rounds: gib > 64 ? 3 : 7 })
  const cell = (ms: number, readMs: number): string =>
    `${(ms / gib).toFixed(2)}/${(readMs / gib).toFixed(2)}=${(ms / readMs).toFixed(2)}`
  const cells = [first, first.warm].flatMap(({ classifyMs, readMs, cpuMs, readCpuMs }) => [
    cell(classifyMs, readMs),
    cell(cpuMs, readCpuMs),
  ])
  console.log([gib, ...cells, (first.peakBytes / 2 ** 20).toFixed(0)].join('\t'))
}
