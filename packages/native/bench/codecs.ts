import { readFileSync } from 'node:fs'
import { loadLibrary, type LibraryLoader } from '../src/foreign.ts'
import { openLzo } from '../src/codecs/lzo-codec.ts'
import type { PageCodec } from '../src/codecs/page-codec.ts'
import { openSnappy } from '../src/codecs/snappy-codec.ts'
import { openZlib } from '../src/codecs/zlib-codec.ts'
import { openZstd } from '../src/codecs/zstd-codec.ts'

// node --conditions=@ullage/source packages/native/bench/codecs.ts RAM-FILE
// MiB of guest memory per second of CPU, page by page, one thread, of pages that are not all zeros.

const PAGE = 4096
const MAX_PAGES = 16_384
const ROUNDS = 5

const [path] = process.argv.slice(2)
if (path === undefined) {
  process.stderr.write('usage: codecs.ts RAM-FILE (raw guest memory)\n')
  process.exit(2)
}

const ram = readFileSync(path)
const zero = Buffer.alloc(PAGE)
const kept: Buffer[] = []
for (let at = 0; at + PAGE <= ram.length && kept.length < MAX_PAGES; at += PAGE) {
  if (ram.compare(zero, 0, PAGE, at, at + PAGE) !== 0) kept.push(ram.subarray(at, at + PAGE))
}
const pages = new Uint8Array(new SharedArrayBuffer(kept.length * PAGE))
kept.forEach((page, i) => {
  pages.set(page, i * PAGE)
})

// One slab for all: what is measured is compressing, not the kernel finding fresh memory.
const slab = new Uint8Array(new SharedArrayBuffer(kept.length * 2 * PAGE))
slab.fill(1)

const without =
  (...sonames: string[]): LibraryLoader =>
  (soname) =>
    sonames.includes(soname) ? undefined : loadLibrary(soname)
const nothing: LibraryLoader = () => undefined

const codecs: PageCodec[] = [
  openLzo(loadLibrary),
  openSnappy(loadLibrary),
  openZstd(loadLibrary),
  openZlib(loadLibrary),
  openZlib(without('libdeflate.so.0')),
  openZstd(nothing),
  openZlib(nothing),
]

const best = new Map(codecs.map((codec) => [codec, { compress: 0, decompress: 0, bytes: 0 }]))
const mib = pages.length / 2 ** 20
// Interleaved, so that what else the machine does falls on all of them.
for (let round = 0; round < ROUNDS; round++) {
  for (const codec of codecs) {
    const figures = best.get(codec)
    if (figures) measure(codec, figures)
  }
}

process.stdout.write(`${kept.length} pages of ${path}\n`)
for (const [codec, { compress, decompress, bytes }] of best) {
  const name = `${codec.name} (${codec.library})`.padEnd(26)
  const share = ((100 * bytes) / pages.length).toFixed(1)
  process.stdout.write(
    `${name} compress ${compress.toFixed(0).padStart(5)} MiB/s, decompress ${decompress.toFixed(0).padStart(5)} MiB/s, ${share} % of the size\n`,
  )
}

function measure(codec: PageCodec, figures: { compress: number; decompress: number; bytes: number }): void {
  const room = codec.maxCompressedBytes(PAGE)
  const lengths = new Uint32Array(kept.length)
  const compressing = cpuSeconds(() => {
    for (let i = 0; i < kept.length; i++) lengths[i] = codec.compress(pages, i * PAGE, PAGE, slab, i * room)
  })
  const page = new Uint8Array(PAGE)
  const decompressing = cpuSeconds(() => {
    for (let i = 0; i < kept.length; i++) codec.decompress(slab, i * room, lengths[i] as number, page, 0, PAGE)
  })
  figures.compress = Math.max(figures.compress, mib / compressing)
  figures.decompress = Math.max(figures.decompress, mib / decompressing)
  figures.bytes = lengths.reduce((sum, length) => sum + length, 0)
}

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}
