import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseSymbols, readWords, unpackedFolder } from './unpacked-folder.ts'

/** Core files that `xl dump-core` wrote of real, ballooned guests, with the word of the guest's own kernel. */
export const XEN_FIXTURE_NAMES = ['xen-pv', 'xen-pvh'] as const

export type XenFixtureName = (typeof XEN_FIXTURE_NAMES)[number]

/** One core file, unpacked. Its files are shared by everybody who asks for it: read them, never write them. */
export interface XenFixture {
  readonly name: XenFixtureName
  readonly dir: string
  /** Path of the guest descriptor `guest.json`. */
  readonly descriptor: string
  readonly core: string
  /** One u64 of KPF_* bits for each frame from 0, read moments before the guest was paused: offline is exact. */
  readonly kpageflags: BigUint64Array
  /** Frames that a process of the guest had locked, each filled with a pattern of its number: see `patternPage`. */
  readonly pattern: readonly PatternPage[]
  /** Virtual addresses of some kernel symbols, from /proc/kallsyms. */
  readonly symbols: ReadonlyMap<string, bigint>
  /** Release, such as `uname -r` prints it. */
  readonly uname: string
}

export interface PatternPage {
  readonly index: number
  readonly pfn: number
}

/** Decompresses a core file into a temporary folder named by its content, once. Takes a second the first time. */
export async function unpackXenFixture(name: XenFixtureName): Promise<XenFixture> {
  const dir = await unpackedFolder(name)
  const text = (file: string): Promise<string> => readFile(join(dir, file), 'utf8')
  return {
    name,
    dir,
    descriptor: join(dir, 'guest.json'),
    core: join(dir, 'core'),
    kpageflags: await readWords(join(dir, 'kpageflags.bin')),
    pattern: parsePattern(await text('pattern.tsv')),
    symbols: parseSymbols(await text('symbols.txt')),
    uname: (await text('uname.txt')).trim(),
  }
}

const PATTERN_MAGIC = new DataView(new TextEncoder().encode('LABPAGE\0').buffer).getBigUint64(0, true)
const PATTERN_KEY = 0x5a5a_5a5a_5a5a_5a5an
const WORDS = 512

/** The content of a pattern page: a mark, its index, its frame, then a count that tells every word from every other. */
export function patternPage({ index, pfn }: PatternPage): Uint8Array {
  const words = new BigUint64Array(WORDS).map((_, i) => BigInt(index * WORDS + i) ^ PATTERN_KEY)
  words[0] = PATTERN_MAGIC
  words[1] = BigInt(index)
  words[2] = BigInt(pfn)
  return new Uint8Array(words.buffer)
}

/** Lines of index, virtual address and pfn, the last two in hex. */
function parsePattern(text: string): PatternPage[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [index, , pfn] = line.split(/\s+/)
      return { index: Number(index), pfn: Number.parseInt(pfn ?? '', 16) }
    })
}
