import { openCodec, type PageCodec } from '@ullage/native'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { RoundOptions } from './dump-rounds.ts'
import { keys } from './goals.ts'
import type { StoppedGuest } from './guest/stopped-guest.ts'
import type { Codec } from './ullage.ts'

const PAGE_BYTES = 4096
/** As much as a thread reads and compresses at a time. */
const CHUNK_BYTES = 1 << 20
/** Of the guest's memory, so much is gone through, after so much that only warms the code up. */
const SAMPLE_BYTES = 256 << 20
const WARM_BYTES = 32 << 20
const PAGES = CHUNK_BYTES / PAGE_BYTES
/** No codec makes a page larger by more. */
const MARGIN_BYTES = 512
const CODECS: readonly Codec[] = ['lzo', 'zstd', 'zlib']

/** One part of the work alone, as `Sample` has it. */
export const floorFields = [
  'read',
  ...CODECS,
  ...CODECS.map((codec) => `${codec} back` as const),
  'sha256',
  'write',
] as const
type Part = (typeof floorFields)[number]

/**
 * What each part of a dump takes by itself, in one thread of warm code: milliseconds for a GiB of the guest's pages that are not
 * zeros, read from its RAM file and written to another on tmpfs, both page by page for codecs.
 */
export function floorRound({ guest, folder, holes }: StoppedGuest, { samples, signal, say }: RoundOptions): void {
  say(keys.floor)
  const ms = new Map<Part, number>()
  const timed = <T>(part: Part, isCounted: boolean, work: () => T): T => {
    const started = performance.now()
    const result = work()
    if (isCounted) ms.set(part, (ms.get(part) ?? 0) + performance.now() - started)
    return result
  }
  const codecs = CODECS.map((name) => ({ name, codec: openCodec(name) }))
  const slab = Buffer.alloc(CHUNK_BYTES)
  const packed = { bytes: Buffer.alloc(CHUNK_BYTES + PAGES * MARGIN_BYTES), sizes: new Uint32Array(PAGES) }
  const hash = createHash('sha256')
  const target = join(folder, 'floor')
  const from = openSync(guest.ramFiles[0] ?? '', 'r')
  const to = openSync(target, 'w')
  let bytes = 0
  try {
    for (const at of chunksOf(holes.ranges)) {
      signal.throwIfAborted()
      if (bytes >= WARM_BYTES + SAMPLE_BYTES) break
      const isCounted = bytes >= WARM_BYTES
      timed('read', isCounted, () => readSync(from, slab, 0, CHUNK_BYTES, at))
      if (hasZeros(slab)) continue
      for (const { name, codec } of codecs) {
        timed(name, isCounted, () => packAll(slab, packed, codec))
        timed(`${name} back`, isCounted, () => unpackAll(packed, codec))
      }
      timed('sha256', isCounted, () => hash.update(slab))
      timed('write', isCounted, () => writeSync(to, slab, 0, CHUNK_BYTES, bytes))
      bytes += CHUNK_BYTES
    }
  } finally {
    for (const fd of [from, to]) closeSync(fd)
    rmSync(target)
    for (const { codec } of codecs) codec[Symbol.dispose]()
  }
  const gib = (bytes - WARM_BYTES) / 2 ** 30
  if (!(gib > 0)) throw new Error('the guest has too few chunks without zeros to measure anything')
  samples.add(keys.floor, Object.fromEntries([...ms].map(([part, spent]) => [part, spent / gib])))
}

/** Where whole chunks of what is backed begin. */
function* chunksOf(ranges: StoppedGuest['holes']['ranges']): Generator<number> {
  for (const { startByte, endByte } of ranges) {
    for (let at = startByte; at + CHUNK_BYTES <= endByte; at += CHUNK_BYTES) yield at
  }
}

function hasZeros(slab: Buffer): boolean {
  const zeros = Buffer.alloc(PAGE_BYTES)
  for (let at = 0; at < slab.length; at += PAGE_BYTES) {
    if (slab.compare(zeros, 0, PAGE_BYTES, at, at + PAGE_BYTES) === 0) return true
  }
  return false
}

interface Packed {
  readonly bytes: Buffer
  readonly sizes: Uint32Array
}

function packAll(slab: Buffer, { bytes, sizes }: Packed, codec: PageCodec): void {
  let to = 0
  for (let i = 0; i < PAGES; i++) {
    const size = codec.compress(slab, i * PAGE_BYTES, PAGE_BYTES, bytes, to)
    sizes[i] = size
    to += size
  }
}

function unpackAll({ bytes, sizes }: Packed, codec: PageCodec): void {
  const page = Buffer.allocUnsafeSlow(PAGE_BYTES)
  let at = 0
  for (const size of sizes) {
    codec.decompress(bytes, at, size, page, 0, PAGE_BYTES)
    at += size
  }
}
