import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { endOf, intersect, mergeRanges, type PfnRange } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { decompress } from '../test/page-codecs.ts'
import { temporaryFolder } from '../test/temporary-folder.ts'
import { type DumpFormat, fillByPfn, formats, testHeader, vmcoreinfoText, writeDump } from '../test/write-dump.ts'
import { describeVmcore } from './describe-vmcore.ts'
import { openVmcore } from './open-vmcore.ts'
import { verifyVmcore } from './verify-vmcore.ts'
import type { Vmcore } from './vmcore.ts'
import { type Compression, compressions } from './vmcore-writer.ts'

const dir = temporaryFolder()
const present = [
  { start: 0, count: 160 },
  { start: 256, count: 40_000 },
]
const stored = [
  { start: 1, count: 7 },
  { start: 159, count: 1 },
  { start: 256, count: 100 },
  { start: 40_000, count: 256 },
]

async function dump(format: DumpFormat, compression: Compression = 'zstd'): Promise<string> {
  const path = join(dir, `${format}.${compression}`)
  await writeDump(path, { format, compression, present, stored, fill: fillByPfn, batchPages: 33 })
  return path
}

async function collect(runs: AsyncIterable<PfnRange>): Promise<PfnRange[]> {
  const collected: PfnRange[] = []
  for await (const run of runs) collected.push(run)
  return collected
}

/** Every frame up to a little beyond guest memory. */
async function expectContent(vmcore: Vmcore, runs: readonly PfnRange[], within: readonly PfnRange[]): Promise<void> {
  const page = new Uint8Array(4096)
  const expected = new Uint8Array(4096)
  const isIn = (list: readonly PfnRange[], pfn: number): boolean => list.some((r) => pfn >= r.start && pfn < endOf(r))
  for (const run of [...within, { start: vmcore.info.maxPfn, count: 3 }]) {
    for (let pfn = Math.max(0, run.start - 2); pfn < endOf(run) + 2; pfn += 1 + (pfn % 7)) {
      const state = isIn(runs, pfn) ? 'stored' : isIn(within, pfn) ? 'excluded' : 'hole'
      expect([pfn, await vmcore.frameState(pfn)]).toEqual([pfn, state])
      if (state === 'stored') {
        expected.fill(0)
        fillByPfn(pfn, expected)
        expect(await vmcore.readPage(pfn, page)).toBe(pfn % 3 === 0 ? 'zero' : 'data')
        expect(Buffer.compare(page, expected)).toBe(0)
      } else {
        await expect(vmcore.readPage(pfn, page)).rejects.toMatchObject({ name: 'VmcoreError', code: 'NOT_STORED' })
      }
    }
  }
}

describe('reads what was written', () => {
  const kdumps = (['kdump', 'flattened'] as const).flatMap((format) => compressions.map((c) => [format, c] as const))
  test.each(kdumps)('%s, %s', async (format, compression) => {
    await using vmcore = await openVmcore(await dump(format, compression), { decompress })
    const header = testHeader()
    expect(vmcore.info).toMatchObject({
      format: 'kdump',
      flattened: format === 'flattened',
      machine: 'x86_64',
      pageBytes: 4096,
      uname: header.uname,
      timestamp: header.timestamp,
      dumpLevel: 31,
      compression,
      physBase: header.physBase,
      cpus: 2,
      maxPfn: 40_256,
      storedFrames: 364,
      elfNotes: header.elfNotes,
      vmcoreinfo: vmcoreinfoText,
      incomplete: false,
    })
    expect(await collect(vmcore.present())).toEqual(present)
    expect(await collect(vmcore.stored())).toEqual(stored)
    await expectContent(vmcore, stored, present)
  })

  test('elf, where guest memory is what is stored', async () => {
    await using vmcore = await openVmcore(await dump('elf'))
    expect(vmcore.info).toMatchObject({
      format: 'elf',
      machine: 'x86_64',
      pageBytes: 4096,
      cpus: 1,
      storedFrames: 364,
      vmcoreinfo: vmcoreinfoText,
    })
    expect(await collect(vmcore.present())).toEqual(stored)
    expect(await collect(vmcore.stored())).toEqual(stored)
    await expectContent(vmcore, stored, stored)
  })

  test.each(formats)('%s of a guest of which nothing is stored', async (format) => {
    const path = join(dir, `nothing.${format}`)
    await writeDump(path, { format, present, stored: [], fill: fillByPfn })
    await using vmcore = await openVmcore(path)
    expect(vmcore.info.storedFrames).toBe(0)
    expect(await verifyVmcore(vmcore)).toMatchObject({ pages: 0, trailingBytes: 0 })
  })

  test.each(formats)('%s with pages of 64 KiB, for another machine, without notes', async (format) => {
    const path = join(dir, `wide.${format}`)
    const header = {
      pageBytes: 65_536,
      machine: 'aarch64',
      elfNotes: new Uint8Array(0),
      physBase: 0x4000_0000n,
    } as const
    const runs = [{ start: 16_384, count: 20 }]
    await writeDump(path, { format, compression: 'lzo', header, present: runs, stored: runs, fill: fillByPfn })
    await using vmcore = await openVmcore(path, { decompress })
    expect(vmcore.info.machine).toBe('aarch64')
    expect(vmcore.info.vmcoreinfo).toBeUndefined()
    // Without VMCOREINFO nothing in an ELF file tells the size of a page.
    expect(vmcore.info.pageBytes).toBe(format === 'elf' ? 4096 : 65_536)
    expect((await verifyVmcore(vmcore)).pages).toBe(format === 'elf' ? 320 : 20)
  })

  test('a frame beyond 4 GiB frames', async () => {
    const far = [{ start: 2 ** 32 + 5, count: 3 }]
    const path = join(dir, 'far.elf')
    await writeDump(path, { format: 'elf', present: far, stored: far, fill: fillByPfn })
    await using vmcore = await openVmcore(path)
    expect(await collect(vmcore.stored())).toEqual(far)
    await expectContent(vmcore, far, far)
  })

  test('any frames, in any format', async () => {
    const range = fc.record({ start: fc.nat(70_000), count: fc.integer({ min: 1, max: 60 }) })
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...formats),
        fc.constantFrom(...compressions),
        fc.array(range, { minLength: 1, maxLength: 8 }),
        fc.array(range, { maxLength: 8 }),
        fc.integer({ min: 1, max: 70 }),
        async (format, compression, ranges, picks, batchPages) => {
          const all = mergeRanges(ranges)
          const some = mergeRanges(
            all.flatMap((run) =>
              picks.flatMap((pick) => intersect(run, { ...pick, start: pick.start % 70_000 }) ?? []),
            ),
          ).concat()
          const path = join(dir, 'any')
          const summary = await writeDump(path, {
            format,
            compression,
            present: all,
            stored: some,
            fill: fillByPfn,
            batchPages,
          })
          await using vmcore = await openVmcore(path, { decompress })
          expect(await collect(vmcore.stored())).toEqual(some)
          if (format !== 'elf') expect(await collect(vmcore.present())).toEqual(all)
          const verified = await verifyVmcore(vmcore)
          expect(verified).toMatchObject({ pages: summary.pages, zeroPages: summary.zeroPages, trailingBytes: 0 })
          await expectContent(vmcore, some, format === 'elf' ? some : all)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('what it opens', () => {
  test('a descriptor, which stays open', async () => {
    const fd = openSync(await dump('kdump'), 'r')
    {
      await using vmcore = await openVmcore(fd, { decompress })
      expect(vmcore.info.storedFrames).toBe(364)
    }
    await using again = await openVmcore(fd, { decompress })
    expect(again.info.storedFrames).toBe(364)
    closeSync(fd)
  })

  test('nothing is read once it is closed', async () => {
    const vmcore = await openVmcore(await dump('kdump'), { decompress })
    await vmcore[Symbol.asyncDispose]()
    await vmcore[Symbol.asyncDispose]()
    await expect(vmcore.readPage(1, new Uint8Array(4096))).rejects.toMatchObject({ code: 'UNREADABLE' })
  })

  test.each([
    ['nothing', new Uint8Array(0), 'NOT_A_VMCORE'],
    ['text', new TextEncoder().encode('hello'), 'NOT_A_VMCORE'],
    ['zeros', new Uint8Array(100_000), 'NOT_A_VMCORE'],
    ['half a signature', new TextEncoder().encode('KDUM'), 'NOT_A_VMCORE'],
    ['a signature alone', new TextEncoder().encode('KDUMP   '), 'TRUNCATED'],
    ['the start of a flattened file', new TextEncoder().encode('makedumpfile\0\0\0\0'), 'TRUNCATED'],
    ['an ancient dump', new TextEncoder().encode('DISKDUMP'.padEnd(5000)), 'UNSUPPORTED'],
    [
      'a program',
      Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, ...new Uint8Array(9), 2, 0, 62, 0, ...new Uint8Array(200)]),
      'NOT_A_VMCORE',
    ],
    [
      'a 32-bit core',
      Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, ...new Uint8Array(9), 4, 0, 3, 0, ...new Uint8Array(200)]),
      'UNSUPPORTED',
    ],
    [
      'a big-endian core',
      Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 2, 1, ...new Uint8Array(9), 0, 4, 0, 22, ...new Uint8Array(200)]),
      'UNSUPPORTED',
    ],
  ])('not %s', async (name, bytes, code) => {
    const path = join(dir, `not.${name}`)
    writeFileSync(path, bytes)
    await expect(openVmcore(path)).rejects.toMatchObject({ name: 'VmcoreError', code })
  })

  test('not what is no file', async () => {
    await expect(openVmcore(join(dir, 'missing'))).rejects.toMatchObject({ code: 'UNREADABLE' })
    await expect(openVmcore(dir)).rejects.toMatchObject({ code: 'UNREADABLE' })
    await expect(openVmcore('/dev/zero')).rejects.toMatchObject({ code: 'UNREADABLE' })
    await expect(openVmcore(987_654)).rejects.toMatchObject({ code: 'UNREADABLE' })
  })

  test('not when told to stop', async () => {
    const path = await dump('kdump')
    await expect(openVmcore(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
  })
})

test('a compressed page without its codec is unsupported, a raw one is not', async () => {
  await using vmcore = await openVmcore(await dump('kdump', 'lzo'))
  const page = new Uint8Array(4096)
  await expect(vmcore.readPage(256, page)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  expect(await vmcore.readPage(257, page)).toBe('data')
  await expect(vmcore.readPage(257, new Uint8Array(4095))).rejects.toThrow(RangeError)
})

test('is described as plain JSON', async () => {
  await using vmcore = await openVmcore(await dump('kdump'))
  const description = await describeVmcore(vmcore)
  expect(JSON.parse(JSON.stringify(description))).toEqual(description)
  expect(description).toMatchObject({
    format: 'kdump',
    timestamp: '2026-11-20T10:20:30.456Z',
    kernel: '6.1.0-test',
    physBase: '-469762048',
    frames: { max: 40_256, present: 40_160, stored: 364, excluded: 39_796 },
    notes: [
      { name: 'CORE', type: 1, bytes: 336 },
      { name: 'VMCOREINFO', type: 0, bytes: vmcoreinfoText.length },
    ],
  })
})
