import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { openKdumpfile } from '@ullage/lab'
import { describe, expect, test } from 'vitest'
import { openVmcore } from '../src/open-vmcore.ts'
import { verifyVmcore } from '../src/verify-vmcore.ts'
import { compressions } from '../src/vmcore-writer.ts'
import { decompress } from './page-codecs.ts'
import { writeDump } from './write-dump.ts'
import { dir, fill, guest, memory, PAGE, spec, stored } from './dumped-guest.ts'

interface Differences {
  /** Content is not the guest's. */
  readonly wrong: number[]
  /** Stored, but the reader has nothing. */
  readonly missing: number[]
  /** Not stored, but the reader has something. */
  readonly extra: number[]
  /** The reader fails. */
  readonly refused: number[]
}

const none: Differences = { wrong: [], missing: [], extra: [], refused: [] }

/** Compares every frame of the guest with what libkdumpfile says of it. */
function compare(path: string): Differences {
  using dump = openKdumpfile(path)
  const found = Buffer.alloc(PAGE)
  const expected = Buffer.alloc(PAGE)
  const differences: Differences = { wrong: [], missing: [], extra: [], refused: [] }
  for (const extent of memory.extents) {
    for (let pfn = extent.start; pfn < extent.start + extent.count; pfn++) {
      let there = false
      try {
        there = dump.read(pfn * PAGE, found)
      } catch {
        differences.refused.push(pfn)
        continue
      }
      if (there !== stored.has(pfn)) (there ? differences.extra : differences.missing).push(pfn)
      if (!there || !stored.has(pfn)) continue
      fill(pfn, expected)
      if (found.compare(expected) !== 0) differences.wrong.push(pfn)
    }
  }
  return differences
}

describe('libkdumpfile reads every stored page of a real guest as it is, and no other', () => {
  test.each(compressions)('kdump, %s', async (compression) => {
    const path = join(dir, `guest.${compression}`)
    const summary = await writeDump(path, spec('kdump', compression))
    expect(summary.pages).toBe(stored.size)
    expect(summary.pages - summary.zeroPages).toBeGreaterThan(10_000)
    expect(compare(path)).toEqual(none)

    using dump = openKdumpfile(path)
    expect(dump.text('linux.uts.release')).toBe(guest.uname)
    expect(dump.text('linux.vmcoreinfo.lines.OSRELEASE')).toBe(guest.uname)
    expect(dump.number('cpu.number')).toBe(2n)

    await using vmcore = await openVmcore(path, { decompress })
    const verified = await verifyVmcore(vmcore)
    expect(verified).toMatchObject({ pages: summary.pages, zeroPages: summary.zeroPages, trailingBytes: 0 })
    expect(verified.byCompression[compression]).toBeGreaterThan(5000)
  })

  test('elf, where it takes the frame right before a segment for zeros', async () => {
    const path = join(dir, 'guest.elf')
    await writeDump(path, spec('elf'))
    const differences = compare(path)
    expect({ ...differences, extra: [] }).toEqual(none)
    // find_closest_file_load() of libkdumpfile takes a segment one page further on for the one that holds the page.
    for (const pfn of differences.extra) expect(stored.has(pfn + 1)).toBe(true)
    await using vmcore = await openVmcore(path)
    for (const pfn of differences.extra) expect(await vmcore.frameState(pfn)).toBe('hole')
  })
})

describe('the comparison fails when one byte of the file is flipped', () => {
  test.each(['none', 'zstd', 'lzo', 'snappy', 'zlib'] as const)('kdump, %s', async (compression) => {
    const path = join(dir, `flipped.${compression}`)
    await writeDump(path, spec('kdump', compression))
    await using vmcore = await openVmcore(path, { decompress })
    const page = await pageWithFlags(vmcore, compression)
    await flip(path, page.position + Math.floor(page.size / 2))

    const { wrong, missing, extra, refused } = compare(path)
    expect({ missing, extra }).toEqual({ missing: [], extra: [] })
    // snappy and lzo have no checksum: the flipped byte may only show in the content.
    expect([...wrong, ...refused]).toEqual([page.pfn])
    const into = new Uint8Array(PAGE)
    const expected = new Uint8Array(PAGE)
    fill(page.pfn, expected)
    const read = await vmcore.readPage(page.pfn, into).catch((error: unknown) => error)
    if (read === 'data') expect(Buffer.compare(into, expected)).not.toBe(0)
    else expect(read).toMatchObject({ name: 'VmcoreError', code: 'CORRUPT' })
  })

  async function pageWithFlags(
    vmcore: Awaited<ReturnType<typeof openVmcore>>,
    compression: string,
  ): Promise<{ pfn: number; position: number; size: number }> {
    for await (const batch of vmcore.storedPages()) {
      for (let i = batch.count >> 1; i < batch.count; i++) {
        const pfn = batch.pfns[i] as number
        const size = batch.sizes[i] as number
        const raw = size === PAGE
        const zero = (await vmcore.readPage(pfn, new Uint8Array(PAGE))) === 'zero'
        if (!zero && raw === (compression === 'none')) return { pfn, position: batch.positions[i] as number, size }
      }
    }
    throw new Error(`no page is stored with ${compression}`)
  }

  async function flip(path: string, position: number): Promise<void> {
    await using file = await open(path, 'r+')
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, position)
    byte[0] = (byte[0] as number) ^ 0x10
    await file.write(byte, 0, 1, position)
  }
})
