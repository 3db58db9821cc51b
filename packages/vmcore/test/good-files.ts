import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect } from 'vitest'
import { page_desc } from '../src/kdump-layout.ts'
import { openVmcore } from '../src/open-vmcore.ts'
import { type VerifySummary, verifyVmcore } from '../src/verify-vmcore.ts'
import { VmcoreError } from '../src/vmcore-error.ts'
import { decompress } from './page-codecs.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { type DumpFormat, fillByPfn, formats, writeDump } from './write-dump.ts'

/** What does harm to a good file. */
export type Harm = (bytes: Buffer) => void

export const dir = temporaryFolder()
export const PAGE = 4096
export const present = [
  { start: 0, count: 20 },
  { start: 40_000, count: 9 },
]
export const stored = [
  { start: 2, count: 9 },
  { start: 40_001, count: 8 },
]
export const STORED = 17
/** Blocks: header, sub header with notes, two blocks for each bitmap of 40009 frames. */
export const BITMAP_1 = 2 * PAGE
export const BITMAP_2 = BITMAP_1 + 2 * PAGE
export const DESCRIPTORS = BITMAP_2 + 2 * PAGE
export const DATA = DESCRIPTORS + STORED * page_desc.size

const good = new Map<DumpFormat, Buffer>()

beforeAll(async () => {
  for (const format of formats) {
    const path = join(dir, `good.${format}`)
    await writeDump(path, { format, compression: 'zstd', present, stored, fill: fillByPfn, batchPages: 5 })
    good.set(format, readFileSync(path))
  }
})

/** A good file of `format`, to be harmed. */
export function copyOf(format: DumpFormat): Buffer {
  return Buffer.from(good.get(format) as Buffer)
}

/** Opens, verifies, and reads each page once more by its number. */
export async function readAll(bytes: Uint8Array): Promise<VerifySummary> {
  const path = join(dir, 'hostile')
  writeFileSync(path, bytes)
  await using vmcore = await openVmcore(path, { decompress })
  const summary = await verifyVmcore(vmcore)
  const page = new Uint8Array(vmcore.info.pageBytes)
  for await (const run of vmcore.stored()) {
    for (let pfn = run.start; pfn < run.start + Math.min(run.count, 50); pfn++) await vmcore.readPage(pfn, page)
  }
  return summary
}

/** What reading `bytes` throws. */
export async function errorOf(bytes: Uint8Array): Promise<VmcoreError> {
  const found = await readAll(bytes).catch((error: unknown) => error)
  expect(found).toBeInstanceOf(VmcoreError)
  return found as VmcoreError
}
