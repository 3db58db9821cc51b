import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, copyFile, mkdir, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { createZstdDecompress, zstdDecompressSync } from 'node:zlib'
import { readFixtureRegions } from './fixture-regions.ts'
import { LabError } from './lab-error.ts'
import type { ByteRange } from './lab-guest.ts'
import type { MemoryRegion } from './memory-view.ts'
import { readNoteSegment } from './note-segment.ts'

/** Memory of real guests that was kept, with the word of the guest's own kernel on each frame. */
export const FIXTURE_NAMES = ['virtio-v6.12-balloon', 'virtio-v6.1-vmem'] as const

export type FixtureName = (typeof FIXTURE_NAMES)[number]

/** One kept guest, unpacked. Its files are shared by everybody who asks for it: read them, never write them. */
export interface Fixture {
  readonly name: FixtureName
  readonly dir: string
  /** Path of the guest descriptor `guest.json`; what it names stands beside it. */
  readonly descriptor: string
  readonly regions: readonly MemoryRegion[]
  /** One u64 of KPF_* bits for each frame from 0, read moments before the guest was stopped: offline is exact. */
  readonly kpageflags: BigUint64Array
  /** One u64 for each frame from 0: how often it was mapped. */
  readonly kpagecount: BigUint64Array
  /** The ELF file with nothing but notes that QEMU wrote of this guest. */
  readonly notesFile: string
  /** The notes in it: those of the vCPUs, then VMCOREINFO. */
  readonly elfNotes: Uint8Array
  /** Virtual addresses of some kernel symbols, from /proc/kallsyms. */
  readonly symbols: ReadonlyMap<string, bigint>
  /** Release, such as `uname -r` prints it. */
  readonly uname: string
  readonly iomem: string
}

const packedFolder = join(import.meta.dirname, '..', 'fixtures')

/**
 * Decompresses a fixture into a temporary folder named by its content, once; RAM files get holes exactly where the host
 * had no memory. Takes seconds the first time. Throws LabError when the fixture is damaged.
 */
export async function unpackFixture(name: FixtureName): Promise<Fixture> {
  const packed = join(packedFolder, name)
  const dir = join(tmpdir(), `ullage-fixtures-${userInfo().uid}`, `${name}-${await contentKey(packed)}`)
  if (!(await exists(dir))) await unpackInto(packed, dir)
  const text = (file: string): Promise<string> => readFile(join(dir, file), 'utf8')
  return {
    name,
    dir,
    descriptor: join(dir, 'guest.json'),
    regions: await readFixtureRegions(dir),
    kpageflags: await readWords(join(dir, 'kpageflags.bin')),
    kpagecount: await readWords(join(dir, 'kpagecount.bin')),
    notesFile: join(dir, 'notes.elf'),
    elfNotes: readNoteSegment(await readFile(join(dir, 'notes.elf'))),
    symbols: parseSymbols(await text('symbols.txt')),
    uname: (await text('uname.txt')).trim(),
    iomem: await text('iomem.txt'),
  }
}

/** Changes when any packed file or the way it is unpacked does. */
async function contentKey(folder: string): Promise<string> {
  const hash = createHash('sha256').update('1')
  for (const file of (await readdir(folder)).sort()) hash.update(file).update(await readFile(join(folder, file)))
  return hash.digest('hex').slice(0, 16)
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

async function unpackInto(packed: string, dir: string): Promise<void> {
  await mkdir(dirname(dir), { recursive: true })
  const partial = await mkdtemp(`${dir}.partial-`)
  try {
    for (const file of await readdir(packed)) {
      if (!file.endsWith('.zst')) await copyFile(join(packed, file), join(partial, file))
      else if (!file.endsWith('.raw.zst')) await unpackWhole(join(packed, file), join(partial, basename(file, '.zst')))
    }
    for (const region of await readFixtureRegions(partial)) {
      await unpackRegion(join(packed, `${basename(region.file)}.zst`), region)
    }
    await rename(partial, dir)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    // Another process may have been quicker: its folder holds the same bytes.
    if (!(await exists(dir))) throw error
  }
}

async function unpackWhole(source: string, target: string): Promise<void> {
  const file = await open(target, 'w')
  try {
    await file.writeFile(zstdDecompressSync(await readFile(source)))
  } finally {
    await file.close()
  }
}

/** Writes only what the host backed: the rest of the file stays a hole. */
async function unpackRegion(source: string, region: MemoryRegion): Promise<void> {
  const file = await open(region.file, 'w')
  try {
    await file.truncate(region.offsetBytes + region.sizeBytes)
    let at = 0
    let next = 0
    const input = createReadStream(source).pipe(createZstdDecompress())
    for await (const chunk of input as AsyncIterable<Uint8Array>) {
      const chunkEnd = at + chunk.length
      for (let i = next; i < region.backedBytes.length; i++) {
        const { startByte, endByte } = region.backedBytes[i] as ByteRange
        const start = Math.max(startByte, at)
        const end = Math.min(endByte, chunkEnd)
        if (end > start) await file.write(chunk, start - at, end - start, start)
        if (endByte > chunkEnd) break
        next = i + 1
      }
      at = chunkEnd
    }
    if (at !== region.offsetBytes + region.sizeBytes) {
      throw new LabError(`${source} unpacks to ${at} bytes, its region needs ${region.offsetBytes + region.sizeBytes}`)
    }
  } finally {
    await file.close()
  }
}

async function readWords(path: string): Promise<BigUint64Array> {
  const bytes = await readFile(path)
  // Copied, because a pooled Buffer need not be aligned to eight bytes.
  return new BigUint64Array(Uint8Array.from(bytes).buffer)
}

function parseSymbols(text: string): Map<string, bigint> {
  const symbols = new Map<string, bigint>()
  for (const line of text.split('\n')) {
    const [address, , symbol] = line.split(' ')
    if (address && symbol) symbols.set(symbol, BigInt(`0x${address}`))
  }
  return symbols
}
