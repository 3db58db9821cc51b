import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { openXenSaveView, unpackXenSave, XEN_SAVE_NAMES } from '@ullage/lab'
import { findElfNote } from '@ullage/layout'
import type { OpenGuest } from '@ullage/offline-query'
import { openXen } from '@ullage/xen'
import { afterAll, describe, expect, test } from 'vitest'
import { makeCore } from './made-core.ts'
import {
  hvmContext,
  hvmHeader,
  hvmPart,
  type MadePage,
  type MadeSave,
  makeSave,
  pageData,
  pvVcpu,
} from './made-save.ts'
import { refusal } from './refusal.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-xen-'))
afterAll(() => rmSync(folder, { recursive: true }))

const HUGE = 2 ** 32 - 1

function open(file: string, signal?: AbortSignal): Promise<OpenGuest> {
  return openXen({ kind: 'save', file }, { baseDir: folder, stateDir: folder, signal })
}

async function openMade(save: MadeSave): Promise<OpenGuest> {
  writeFileSync(join(folder, 'made.save'), makeSave(save))
  return open('made.save')
}

/** A record PAGE_DATA whose count or size is not what it should be. */
function wrongCount(pages: readonly MadePage[], count: number, length?: number): MadeSave {
  const body = Uint8Array.from(pageData(pages).body)
  new DataView(body.buffer).setUint32(0, count, true)
  return { pages: [], more: [{ type: 1, body, ...(length === undefined ? {} : { length }) }] }
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

const one: readonly MadePage[] = [{ pfn: 0n }]

test.each<[string, 'INVALID' | 'UNSUPPORTED' | 'CORRUPT', RegExp, MadeSave]>([
  ['another magic', 'INVALID', /found something else/, { xl: { magic: 'Xen saved domain, yl format\n \0 \r' } }],
  ['another byte order', 'UNSUPPORTED', /byte order.*0x4030201/, { xl: { byteorder: 0x0403_0201 } }],
  ['flags of tomorrow', 'UNSUPPORTED', /not known \(0x80000004\)/, { xl: { flags: 0x8000_0007 } }],
  ['a legacy stream', 'UNSUPPORTED', /legacy form of Xen 4.5.*save it again/, { xl: { flags: 1 } }],
  ['a configuration of 4 GiB', 'CORRUPT', /4294967295 bytes, the data of xl has/, { xl: { configBytes: HUGE } }],
  ['data of 4 GiB', 'CORRUPT', /the data of xl should take .*cut off/, { xl: { dataBytes: HUGE } }],
  [
    'a configuration larger than any',
    'CORRUPT',
    /1048576 bytes at most, found 1048578/,
    { config: ' '.repeat(2 ** 20 + 1) },
  ],
  ['no mark of libxl', 'CORRUPT', /expected the mark LibxlFmt at byte \d+, found 0x1/, { libxlHeader: { ident: 1n } }],
  ['version 1 of libxl', 'UNSUPPORTED', /version 2 of libxl's stream, found 1/, { libxlHeader: { version: 1 } }],
  ['big-endian libxl', 'UNSUPPORTED', /found a big-endian one/, { libxlHeader: { options: 1 } }],
  ['options of libxl of tomorrow', 'UNSUPPORTED', /not known \(0x80000000\)/, { libxlHeader: { options: 2 ** 31 } }],
  ['no mark of libxc', 'UNSUPPORTED', /found 0x10000: a legacy stream/, { image: { marker: 0x1_0000n } }],
  ['another name', 'CORRUPT', /XENF at byte \d+, found 0x58454e47/, { image: { id: 0x5845_4e47 } }],
  ['version 1', 'UNSUPPORTED', /version 2 or 3.*found 1/, { image: { version: 1 } }],
  ['version 4', 'UNSUPPORTED', /version 2 or 3.*found 4/, { image: { version: 4 } }],
  ['big-endian', 'UNSUPPORTED', /found a big-endian one/, { image: { options: 1 } }],
  ['a domain of another type', 'UNSUPPORTED', /found 3/, { image: { type: 3 } }],
  ['pages of 64 KiB', 'UNSUPPORTED', /page shift of 16/, { image: { pageShift: 16 } }],
  ['a page shift of 65535', 'UNSUPPORTED', /page shift of 65535/, { image: { pageShift: 65535 } }],
  ['an unknown record', 'UNSUPPORTED', /type 0x13, which is not known/, { more: [{ type: 0x13 }] }],
  ['an unknown record of libxl', 'UNSUPPORTED', /type 0x6, which is not known/, { libxl: [{ type: 6 }, { type: 0 }] }],
  ['frames sent back', 'UNSUPPORTED', /type 0xf, which is not known/, { more: [{ type: 15 }] }],
  [
    'a record of 2^32 - 1 bytes',
    'CORRUPT',
    /of type 0x8.*4294967296 bytes.*cut off/,
    { more: [{ type: 8, length: HUGE }] },
  ],
  ['an optional record of 4 GiB', 'CORRUPT', /cut off/, { more: [{ type: 0x8000_0001, length: HUGE }] }],
  ['no END', 'CORRUPT', /cut off/, { without: [0], libxl: [] }],
  ['no END of libxl', 'CORRUPT', /libxl header of the next record.*cut off/, { libxl: [] }],
  ['a second domain', 'CORRUPT', /second domain at byte/, { libxl: [{ type: 1 }, { type: 0 }] }],
  ['an end of no checkpoint', 'CORRUPT', /ends no checkpoint/, { libxl: [{ type: 4 }, { type: 0 }] }],
  ['a checkpoint that does not end', 'CORRUPT', /inside a checkpoint/, { more: [{ type: 14 }], without: [0] }],
  ['records of PV in HVM', 'CORRUPT', /type 7 .* not belong to a HVM guest/, { more: [{ type: 7 }] }],
  ['records of HVM in PV', 'CORRUPT', /type 9 .* not belong to a PV guest/, { kind: 'pv', more: [{ type: 9 }] }],
  ['no page', 'CORRUPT', /no page of any frame/, { pages: [] }],
  ['nothing but absent frames', 'CORRUPT', /no page of any frame/, { pages: [[{ pfn: 5n, type: 15 }]] }],
  ['an empty PAGE_DATA', 'CORRUPT', /has 0 bytes, too few/, { more: [{ type: 1 }] }],
  [
    'a PAGE_DATA of half a frame',
    'CORRUPT',
    /has 12 bytes, too few/,
    { more: [{ type: 1, body: new Uint8Array(12) }] },
  ],
  ['a count of 0', 'CORRUPT', /it names 0$/, wrongCount(one, 0)],
  ['a count of 2^32 - 1', 'CORRUPT', /it names 4294967295$/, wrongCount(one, HUGE)],
  ['a count beyond its record', 'CORRUPT', /from 1 to 513 frames.*names 514/, wrongCount(one, 514)],
  ['a count that eats its page', 'CORRUPT', /should have \d+ bytes.*it has 4112/, wrongCount(one, 2)],
  ['a page that is missing', 'CORRUPT', /of which 1 have a page, it has 16/, wrongCount(one, 1, 16)],
  [
    'a page too much',
    'CORRUPT',
    /of which 0 have a page, it has 4112/,
    {
      more: [{ type: 1, body: Buffer.concat([pageData([{ pfn: 3n, type: 15 }]).body, new Uint8Array(4096)]) }],
    },
  ],
  ...[5, 6, 7, 8].map(
    (type) =>
      [`page type ${type}`, 'CORRUPT', new RegExp(`page type ${type}$`), { pages: [[{ pfn: 1n, type }]] }] satisfies [
        string,
        'CORRUPT',
        RegExp,
        MadeSave,
      ],
  ),
  [
    'frame 2^40',
    'CORRUPT',
    /entry 1 .*names frame 0x10000000000, beyond/,
    { pages: [[{ pfn: 0n }, { pfn: 2n ** 40n }]] },
  ],
  ['frame 2^52 - 1', 'CORRUPT', /0xfffffffffffff, beyond/, { pages: [[{ pfn: 2n ** 52n - 1n }]] }],
  ['an absent frame 2^52 - 1', 'CORRUPT', /beyond/, { pages: [[{ pfn: 2n ** 52n - 1n, type: 15 }]] }],
  [
    'a frame far above all others',
    'CORRUPT',
    /up to frame 1099511627775: no guest/,
    { pages: [[{ pfn: 2n ** 40n - 1n }]] },
  ],
  ['a guest of 32 bits', 'UNSUPPORTED', /found 32 bits/, { kind: 'pv', guestWidth: 4 }],
  ['no word on the guest’s width', 'CORRUPT', /before X86_PV_INFO/, { kind: 'pv', without: [2] }],
  [
    'an X86_PV_INFO of 4 bytes',
    'CORRUPT',
    /should have 8 bytes, it has 4/,
    { kind: 'pv', more: [{ type: 2, body: new Uint8Array(4) }] },
  ],
  [
    'a p2m of 4 bytes',
    'CORRUPT',
    /X86_PV_P2M_FRAMES .*only 4 bytes/,
    { kind: 'pv', more: [{ type: 3, body: new Uint8Array(4) }] },
  ],
  [
    'a p2m of 2^32 frames in 8 bytes',
    'CORRUPT',
    /frames 0 to 4294967295, which does not go with its 8 bytes/,
    { kind: 'pv', more: [{ type: 3, body: Uint8Array.of(0, 0, 0, 0, 255, 255, 255, 255) }] },
  ],
  [
    'a p2m that ends before it begins',
    'CORRUPT',
    /frames 9 to 1/,
    { kind: 'pv', more: [{ type: 3, body: Uint8Array.of(9, 0, 0, 0, 1, 0, 0, 0) }] },
  ],
  [
    'a shared info of 8 bytes',
    'CORRUPT',
    /should have 4096 bytes/,
    { kind: 'pv', more: [{ type: 7, body: new Uint8Array(8) }] },
  ],
  [
    'a vCPU of 4 bytes',
    'CORRUPT',
    /should have 5176 bytes, it has 4/,
    { kind: 'pv', more: [{ type: 4, body: new Uint8Array(4) }] },
  ],
  ['vCPU 2^32 - 1', 'CORRUPT', /8192 vCPUs at most, .* is of 4294967295/, { kind: 'pv', more: [pvVcpu(HUGE, 0n)] }],
  ['no vCPU', 'CORRUPT', /registers of vCPU 0/, { kind: 'pv', without: [4] }],
  ['no HVM context', 'CORRUPT', /registers of vCPU 0/, { without: [9] }],
  ['an HVM context of nothing', 'CORRUPT', /should go on or end/, { more: [{ type: 9 }] }],
  [
    'an HVM context without a header',
    'CORRUPT',
    /begins with a part of type 0/,
    { more: [hvmContext([], [hvmPart(0, new Uint8Array(0))])] },
  ],
  ['an HVM context of another mark', 'CORRUPT', /it has 0x7/, { more: [hvmContext([], [hvmHeader(7)])] }],
  ['an HVM context without an end', 'CORRUPT', /should go on or end/, { more: [hvmContext([], [hvmHeader()])] }],
  [
    'a part that leaves the HVM context',
    'CORRUPT',
    /a part of 4294967295 bytes, its record has 0 left/,
    { more: [hvmContext([], [hvmHeader(), hvmPart(5, new Uint8Array(0), { length: HUGE })])] },
  ],
  [
    'registers that are too short',
    'CORRUPT',
    /952 bytes or more.*it has 100/,
    { more: [hvmContext([], [hvmHeader(), hvmPart(2, new Uint8Array(100))])] },
  ],
  [
    'registers of vCPU 65535',
    'CORRUPT',
    /for vCPU 65535/,
    { more: [hvmContext([], [hvmHeader(), hvmPart(2, new Uint8Array(1032), { instance: 65535 })])] },
  ],
])('refuses an image with %s', async (_, code, message, save) => {
  const error = await refusal(() => openMade(save))
  expect(`${error.code}: ${error.message}`).toMatch(message)
  expect(error.code).toBe(code)
})

test('refuses what is no image, and says what it is', async () => {
  mkdirSync(join(folder, 'folder'))
  const image = makeSave({})
  const files: readonly [string, string | Uint8Array, RegExp][] = [
    ['empty', '', /is empty/],
    ['short', 'Xen saved', /found a file of 9 bytes/],
    ['text', 'a text that is longer than the mark of an image of xl save', /found something else/],
    ['gzip', gzipSync(image), /compressed with gzip: unpack it first/],
    ['zstd', zstdCompressSync(image), /compressed with zstd: unpack it first/],
    ['xz', '\xfd7zXZ\0\0', /compressed with xz/],
    ['core', makeCore({ frames: [0n] }), /of kind "core"/],
    ['libvirt', 'libvirt-xml\n \0 \r and what follows it', /virsh save/],
    ['xm', 'LinuxGuestRecord and what follows it', /xm save/],
    ['bare', image.subarray(image.indexOf(0x4c, 60)), /found /],
  ]
  for (const [file, content, message] of files) {
    writeFileSync(join(folder, file), typeof content === 'string' ? Buffer.from(content, 'latin1') : content)
    const error = await refusal(() => open(file))
    expect(`${error.code}: ${error.message}`).toMatch(/^INVALID/)
    expect(error.message).toMatch(message)
    expect(error.message).toContain(join(folder, file))
  }
  for (const file of ['absent', 'folder']) expect((await refusal(() => open(file))).code).toBe('INVALID')
})

test.each(['pv', 'hvm'] as const)('a small %s image is refused wherever it is cut off', async (kind) => {
  const image = makeSave({ kind, pages: [[{ pfn: 0n }, { pfn: 3n, type: 15 }], [{ pfn: 1n }]] })
  for (let bytes = image.length - 1; bytes > 0; bytes -= bytes > 4200 ? 97 : 7) {
    writeFileSync(join(folder, 'cut.save'), image.subarray(0, bytes))
    const error = await refusal(() => open('cut.save'))
    expect(error.message).toMatch(bytes < 32 ? /found a file of/ : /cut off/)
  }
  writeFileSync(join(folder, 'cut.save'), image)
  await (await open('cut.save'))[Symbol.asyncDispose]()
})

describe.each(XEN_SAVE_NAMES)('%s', (name) => {
  test('is refused when it is cut off anywhere: at each kind of record, inside it, and by one byte', async () => {
    const fixture = await unpackXenSave(name)
    const path = join(folder, `${name}.save`)
    copyFileSync(fixture.save, path)
    using view = openXenSaveView(path, 0)
    const { records, stream } = view
    const ofEachType = records.filter(({ type }, i) => records[i - 1]?.type !== type || records[i + 1]?.type !== type)
    const ends = ofEachType.flatMap(({ offset, size }) => [offset, offset + 4, offset + 8 + Math.floor(size / 2)])
    for (const bytes of [...ends, stream.end + 7, stream.end, stream.offset + 20, 900, 40].sort((a, b) => b - a)) {
      truncateSync(path, bytes)
      expect((await refusal(() => open(`${name}.save`))).message).toMatch(/cut off/)
    }
  })
})

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

test('is aborted by an event while it reads', async () => {
  const many = Array.from({ length: 60_000 }, (_, i) => ({
    ...pageData([{ pfn: BigInt(i), type: 15 }]),
  }))
  writeFileSync(join(folder, 'long.save'), makeSave({ more: many }))
  const controller = new AbortController()
  setTimeout(() => controller.abort(new TypeError('a reason')), 5)
  await expect(open('long.save', controller.signal)).rejects.toMatchObject({ name: 'AbortError' })
  await expect(open('long.save', AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
})

test('a file that is cut off after it was opened is unreadable there', async () => {
  await using guest = await openMade({ pages: [[{ pfn: 5n }]] })
  truncateSync(join(folder, 'made.save'), 1200)
  expect(() => fill(guest, 5)).toThrow(/cannot read frame 5.*ended/)
})
