import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseSymbols, readWords, unpackedFolder } from './unpacked-folder.ts'

/** Core files that `xl dump-core` wrote of real, ballooned guests, with the word of the guest's own kernel. */
export const XEN_FIXTURE_NAMES = ['xen-pv', 'xen-pvh'] as const

export type XenFixtureName = (typeof XEN_FIXTURE_NAMES)[number]

/** Images that `xl save` wrote of real, ballooned guests of two vCPUs, with the same. */
export const XEN_SAVE_NAMES = ['xen-pv-save', 'xen-pvh-save'] as const

export type XenSaveName = (typeof XEN_SAVE_NAMES)[number]

/** One Xen guest in a file, unpacked. Its files are shared by everybody who asks for it: read them, never write them. */
export interface XenGuestFiles {
  readonly dir: string
  /** Path of the guest descriptor `guest.json`. */
  readonly descriptor: string
  /** One u64 of KPF_* bits for each frame from 0, read moments before the guest was paused: offline is exact. */
  readonly kpageflags: BigUint64Array
  /** Frames that a process of the guest had locked, each filled with a pattern of its number: see `patternPage`. */
  readonly pattern: readonly PatternPage[]
  /** Virtual addresses of some kernel symbols, from /proc/kallsyms. */
  readonly symbols: ReadonlyMap<string, bigint>
  /** Release, such as `uname -r` prints it. */
  readonly uname: string
}

export interface XenFixture extends XenGuestFiles {
  readonly name: XenFixtureName
  readonly core: string
}

export interface XenSave extends XenGuestFiles {
  readonly name: XenSaveName
  readonly save: string
  /** FNV-1a of the 512 words of every frame that dom0 could map, of the same paused guest: see `hashOfPage`. */
  readonly hashes: ReadonlyMap<number, bigint>
}

export interface PatternPage {
  readonly index: number
  readonly pfn: number
}

/** Decompresses a core file into a temporary folder named by its content, once. Takes a second the first time. */
export async function unpackXenFixture(name: XenFixtureName): Promise<XenFixture> {
  const files = await unpack(name)
  return { ...files, name, core: join(files.dir, 'core') }
}

/** Decompresses an image of `xl save` in the same way. */
export async function unpackXenSave(name: XenSaveName): Promise<XenSave> {
  const files = await unpack(name)
  const lines = (await readFile(join(files.dir, 'hash.tsv'), 'utf8')).trim().split('\n')
  const hashes = new Map(
    lines.map((line) => {
      const [pfn, hash] = line.split('\t')
      return [Number.parseInt(pfn ?? '', 16), BigInt(`0x${hash}`)] as const
    }),
  )
  return { ...files, name, save: join(files.dir, 'save'), hashes }
}

async function unpack(name: string): Promise<XenGuestFiles> {
  const dir = await unpackedFolder(name)
  const text = (file: string): Promise<string> => readFile(join(dir, file), 'utf8')
  return {
    dir,
    descriptor: join(dir, 'guest.json'),
    kpageflags: await readWords(join(dir, 'kpageflags.bin')),
    pattern: parsePattern(await text('pattern.tsv')),
    symbols: parseSymbols(await text('symbols.txt')),
    uname: (await text('uname.txt')).trim(),
  }
}

/** FNV-1a over the 512 words of a page, in two halves: the prime is 2^40 + 0x1b3. */
export function hashOfPage(page: Uint8Array): bigint {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength)
  let low = 0x8422_2325
  let high = 0xcbf2_9ce4
  for (let at = 0; at < page.length; at += 8) {
    const mixedLow = (low ^ view.getUint32(at, true)) >>> 0
    const mixedHigh = (high ^ view.getUint32(at + 4, true)) >>> 0
    const product = mixedLow * 0x1b3
    low = product % 2 ** 32
    high = (mixedHigh * 0x1b3 + Math.floor(product / 2 ** 32) + ((mixedLow << 8) >>> 0)) % 2 ** 32
  }
  return (BigInt(high) << 32n) | BigInt(low)
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
