import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readFixtureRegions } from './fixture-regions.ts'
import type { MemoryRegion } from './memory-view.ts'
import { readNoteSegment } from './note-segment.ts'
import { unpackRegions } from './unpack-regions.ts'
import { parseSymbols, readWords, unpackedFolder } from './unpacked-folder.ts'

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

/**
 * Decompresses a fixture into a temporary folder named by its content, once; RAM files get holes exactly where the host
 * had no memory. Takes seconds the first time. Throws LabError when the fixture is damaged.
 */
export async function unpackFixture(name: FixtureName): Promise<Fixture> {
  const dir = await unpackedFolder(name, { takes: (file) => file.endsWith('.raw.zst'), write: unpackRegions })
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
