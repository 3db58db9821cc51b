import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findElfNote } from '@ullage/layout'
import type { OpenGuest } from '@ullage/offline-query'
import { openXen } from '@ullage/xen'
import { afterAll, expect, test } from 'vitest'
import { hvmContext, type MadeSave, makeSave, pageData } from './made-save.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-xen-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function openMade(save: MadeSave): Promise<OpenGuest> {
  writeFileSync(join(folder, 'made.save'), makeSave(save))
  return openXen({ kind: 'save', file: 'made.save' }, { baseDir: folder, stateDir: folder })
}

function fill(guest: OpenGuest, pfn: number): number | undefined {
  const page = new Uint8Array(4096)
  guest.memory.read({ start: pfn, count: 1 }, page)
  expect(new Set(page).size).toBe(1)
  return page[0]
}

async function backed(guest: OpenGuest, frames = 32): Promise<number[]> {
  const found: number[] = []
  for await (const { start, count, state } of guest.backing.backing({ within: { start: 0, count: frames } })) {
    for (let pfn = start; pfn < start + count; pfn++) if (state === 'backed') found.push(pfn)
  }
  return found
}

test('of a frame that is said more than once the last word holds', async () => {
  await using guest = await openMade({
    pages: [
      [
        { pfn: 0n, fill: 1 },
        { pfn: 1n, fill: 2 },
        { pfn: 2n, fill: 3 },
        { pfn: 3n, fill: 4 },
      ],
      [
        { pfn: 2n, fill: 13 },
        { pfn: 1n, type: 15 },
        { pfn: 9n, type: 15 },
      ],
      [
        { pfn: 9n, fill: 19 },
        { pfn: 0n, fill: 21 },
      ],
      [{ pfn: 0n, fill: 31 }],
    ],
  })
  expect(await backed(guest)).toEqual([0, 2, 3, 9])
  expect([0, 2, 3, 9].map((pfn) => fill(guest, pfn))).toEqual([31, 13, 4, 19])
  expect((await guest.hostMemory()).backedBytes).toBe(4 * 4096)
  expect(() => fill(guest, 1)).toThrow(/^frame 1 cannot be read/)
})

test('what is sent again for comparison is nothing new, checkpoints go on, optional records are skipped', async () => {
  const checkpointed: MadeSave = {
    records: [
      { type: 0x10 },
      pageData([
        { pfn: 0n, fill: 1 },
        { pfn: 1n, fill: 2 },
      ]),
      hvmContext([0x1000n]),
      { type: 14 },
      // Libxl's part of the checkpoint.
      { type: 3, body: new Uint8Array(12) },
      { type: 4 },
      { type: 0x8000_0007, body: new Uint8Array(5) },
      pageData([{ pfn: 1n, fill: 22 }]),
      { type: 13 },
      pageData([
        { pfn: 0n, fill: 99 },
        { pfn: 7n, fill: 99 },
      ]),
      hvmContext([0x5000n, 0x6000n]),
      { type: 0 },
    ],
    libxl: [{ type: 2, body: new Uint8Array(9) }, { type: 0x8000_0001 }, { type: 0 }],
  }
  await using guest = await openMade(checkpointed)
  expect(await backed(guest)).toEqual([0, 1])
  expect([fill(guest, 0), fill(guest, 1)]).toEqual([1, 22])
  const { elfNotes, cpus } = await guest.notes()
  const qemu = findElfNote(elfNotes, 'QEMU')
  expect(cpus).toBe(2)
  expect(new DataView(qemu?.desc.buffer as ArrayBuffer, qemu?.desc.byteOffset).getBigUint64(416, true)).toBe(0x5000n)
})

test('frames whose content is not in the image have no memory, and that is said', async () => {
  await using guest = await openMade({
    pages: [[{ pfn: 0n }, { pfn: 1n, type: 13 }, { pfn: 2n, type: 14 }, { pfn: 3n, type: 14 }]],
  })
  expect(await backed(guest)).toEqual([0])
  expect(guest.warnings.map(({ code, text }) => `${code} ${text.slice(0, 9)}`)).toEqual([
    'BROKEN_FRAMES 1 frames ',
    'ALLOCATED_FRAMES 2 frames ',
  ])
})

test('RAM is as the configuration says, above 4 GiB too, and inferred with a warning where it says nothing', async () => {
  const GIB = 2 ** 20
  // Many enough for a guest that goes so far.
  const pages = [...Array(3000).keys()].map((i) => ({ pfn: BigInt(i < 2960 ? i : (i - 2960) * 28_000) }))
  const build = (type: string, max: unknown, more: object = {}) => ({
    c_info: { type },
    b_info: { max_memkb: max, ...more },
  })
  for (const [config, ram] of [
    [build('pvh', 4.5 * GIB), ['0+1032192', '1048576+147456']],
    [build('hvm', 4.5 * GIB + 8192, { video_memkb: 8192 }), ['0+983040', '1048576+196608']],
    [build('hvm', 3.5 * GIB, { 'type.hvm': { mmio_hole_memkb: GIB } }), ['0+786432', '1048576+131072']],
    [build('hvm', 4 * GIB, { 'type.hvm': { mmio_hole_memkb: 4096 } }), ['0+983040', '1048576+65536']],
    [build('pvh', 64 * 1024), ['0+16384']],
    [build('pvh', 2 ** 60), undefined],
    [build('pvh', 0), undefined],
    [build('pvh', '4194304'), undefined],
    [build('pvh', -1), undefined],
    [build('pv', 4.5 * GIB), undefined],
    [{ b_info: [] }, undefined],
    ['no json', undefined],
    ['['.repeat(100_000), undefined],
    [null, undefined],
  ] as const) {
    await using guest = await openMade({ config, pages: [pages], xl: config === null ? { flags: 2 } : {} })
    const found = guest.memory.extents
      .filter(({ name }) => name === 'ram')
      .map(({ start, count }) => `${start}+${count}`)
    expect(found).toEqual(ram ?? ['0+980001', '1048576+43425'])
    expect(guest.warnings.map(({ code }) => code)).toEqual(ram ? [] : ['RAM_END_UNKNOWN'])
    // Everything the file holds is in some extent.
    const inExtents = guest.memory.extents.reduce(
      (sum, { start, count }) => sum + pages.filter(({ pfn }) => pfn >= start && pfn < start + count).length,
      0,
    )
    expect(inExtents).toBe(pages.length)
  }
})

test('RAM of a PV guest goes to the end of its p2m, unless that cannot be', async () => {
  for (const [maxPfn, p2mEnd, end, warnings] of [
    [700n, 511, 700, []],
    [0n, 511, 512, []],
    [2n ** 63n, 511, 512, []],
    [0n, undefined, 2, ['RAM_END_UNKNOWN']],
    [2n ** 63n, undefined, 2, ['RAM_END_UNKNOWN']],
  ] as const) {
    const told = p2mEnd === undefined ? { without: [3] } : { p2mEnd }
    await using guest = await openMade({ kind: 'pv', pages: [[{ pfn: 1n, type: 9 }]], maxPfn, ...told })
    expect(guest.memory.extents).toEqual([{ name: 'ram', start: 0, count: end }])
    expect(guest.warnings.map(({ code }) => code)).toEqual(warnings)
    expect(guest.addressSpace.toPfn(5)).toBe(5)
  }
})
