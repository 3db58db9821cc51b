import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { openXenSaveView, unpackXenSave, XEN_SAVE_NAMES } from '@ullage/lab'
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
  expect(() => guest.memory.read({ start: 5, count: 1 }, new Uint8Array(4096))).toThrow(/cannot read frame 5.*ended/)
})
