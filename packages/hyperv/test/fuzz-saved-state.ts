import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openHyperv } from '@ullage/hyperv'
import { OfflineError, type OpenGuest } from '@ullage/offline-query'
import { resum, SMALL_BLOCKS, smallSavedState } from './small-saved-state.ts'

/** What became of the mutated files. */
export interface FuzzOutcome {
  readonly opened: number
  readonly refused: number
  /** Frames that were read of those opened, and those that could not be. */
  readonly read: number
  readonly unreadable: number
  /** Of one file, from opening to the last frame. */
  readonly slowestMs: number
}

/** A block as it is, to be large, and compressed ones; each with and without a commit that waits. */
const BASES = (['raw', 'pages', 'whole'] as const).flatMap((form) => {
  const blocks = form === 'raw' ? SMALL_BLOCKS.slice(2) : SMALL_BLOCKS.slice(1)
  return [
    { form, blocks },
    { form, blocks, pending: { table: 1 } },
  ]
})
/** Values that tend to break sums, shifts and bounds. */
const ODD = [
  0, 1, 0x7f, 0x80, 0xff, 0x1000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, 0xffff_fffd, 0xffff_fffe, 0xffff_ffff,
]

/**
 * Opens `files` mutated saved states and reads from each. Half of the mutations have their checksums put right again, so
 * that they are looked at; most hit headers and tables. Throws for anything but an OfflineError, naming `seed` and the file.
 */
export async function fuzzSavedState(folder: string, options: { files: number; seed: number }): Promise<FuzzOutcome> {
  const random = randomFrom(options.seed)
  const originals = BASES.map((base, i) => readFileSync(smallSavedState(join(folder, `base-${i}.vmrs`), base)))
  const path = join(folder, 'mutated.vmrs')
  const outcome = { opened: 0, refused: 0, read: 0, unreadable: 0, slowestMs: 0 }
  for (let i = 0; i < options.files; i++) {
    const bytes = mutate(originals[i % originals.length] as Buffer, random)
    writeFileSync(path, bytes)
    const start = performance.now()
    try {
      const guest = await openHyperv({ kind: 'saved-state', file: path }, { baseDir: folder, stateDir: folder })
      outcome.opened++
      try {
        await readSome(guest, outcome, random)
      } finally {
        await guest[Symbol.asyncDispose]()
      }
    } catch (error) {
      if (!(error instanceof OfflineError)) {
        const kept = join(folder, `seed-${options.seed}-file-${i}.vmrs`)
        writeFileSync(kept, bytes)
        throw new Error(`seed ${options.seed}, file ${i}, kept as ${kept}`, { cause: error })
      }
      outcome.refused++
    }
    outcome.slowestMs = Math.max(outcome.slowestMs, performance.now() - start)
  }
  return outcome
}

async function readSome(
  guest: OpenGuest,
  outcome: { read: number; unreadable: number },
  random: () => number,
): Promise<void> {
  const page = new Uint8Array(guest.memory.frameBytes)
  for await (const run of guest.backing.backing({ within: { start: 0, count: 2 ** 40 } })) {
    if (run.state === 'unbacked') continue
    for (let i = 0; i < 6; i++) {
      const start = run.start + Math.floor(random() * run.count)
      try {
        guest.memory.read({ start, count: 1 }, page)
        outcome.read++
      } catch (error) {
        if (!(error instanceof OfflineError)) throw error
        outcome.unreadable++
      }
    }
  }
  await guest.notes()
}

/** One to four changes: a bit, a word, a run of bytes copied, filled or cut off. */
function mutate(original: Buffer, random: () => number): Buffer {
  let bytes: Buffer = Buffer.from(original)
  const tables = Number(original.readBigUInt64LE(26)) - 4096
  const below = (limit: number): number => Math.floor(random() * Math.max(1, limit))
  const place = (): number => {
    const kind = random()
    if (kind < 0.15) return below(46) + (random() < 0.5 ? 0 : 4096)
    if (kind < 0.3) return 8192 + below(200)
    if (kind < 0.7) return tables + below(1200)
    if (kind < 0.8) return tables + 4096 + below(120)
    return below(bytes.length)
  }
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = Math.min(place(), bytes.length - 8)
    if (at < 0) break
    const kind = random()
    if (kind < 0.3) bytes[at] = (bytes[at] as number) ^ (1 << below(8))
    else if (kind < 0.75) bytes.writeUInt32LE(random() < 0.7 ? (ODD[below(ODD.length)] as number) : below(2 ** 32), at)
    else if (kind < 0.85) bytes.copy(bytes, at, below(bytes.length), below(bytes.length))
    else if (kind < 0.97) bytes.fill(below(256), at, Math.min(bytes.length, at + 1 + below(64)))
    else bytes = bytes.subarray(0, below(bytes.length))
  }
  if (random() < 0.6 && bytes.length > 8192) resum(bytes)
  return bytes
}

function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    // mulberry32
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
