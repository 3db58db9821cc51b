import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openXenCoreView, unpackXenFixture, XEN_FIXTURE_NAMES } from '@ullage/lab'
import { encodeElfNote, readElfNotes } from '@ullage/layout'
import type { OpenGuest } from '@ullage/offline-query'
import { openXen } from '@ullage/xen'
import { afterAll, describe, expect, test } from 'vitest'
import { type MadeCore, makeCore } from './made-core.ts'
import { refusal } from './refusal.ts'

const folder = mkdtempSync(join(tmpdir(), 'ullage-xen-'))
afterAll(() => rmSync(folder, { recursive: true }))

const PADDING = 2n ** 64n - 1n
const HUGE = 2n ** 63n

function open(file: string): Promise<OpenGuest> {
  return openXen({ kind: 'core', file }, { baseDir: folder, stateDir: folder })
}

async function openMade(core: MadeCore): Promise<OpenGuest> {
  writeFileSync(join(folder, 'made.core'), makeCore(core))
  return open('made.core')
}

const frames = [0n, 1n, 2n, 5n]

test.each<[string, 'INVALID' | 'UNSUPPORTED' | 'CORRUPT', RegExp, MadeCore]>([
  ['program headers', 'INVALID', /2 program headers: a vmcore/, { frames, elf: { e_phnum: 2 } }],
  ['another type of elf', 'INVALID', /elf type 2/, { frames, elf: { e_type: 2 } }],
  ['another machine', 'UNSUPPORTED', /machine 183/, { frames, elf: { e_machine: 183 } }],
  ['no sections', 'INVALID', /0 sections/, { frames, elf: { e_shnum: 0 } }],
  ['65535 sections', 'INVALID', /65535 sections/, { frames, elf: { e_shnum: 65535 } }],
  ['section headers beyond the file', 'CORRUPT', /section headers.*cut off/, { frames, elf: { e_shoff: HUGE } }],
  ['section headers of another size', 'INVALID', /of 40 bytes/, { frames, elf: { e_shentsize: 40 } }],
  ['names in a section that is not there', 'CORRUPT', /section 60 should/, { frames, elf: { e_shstrndx: 60 } }],
  [
    'names in a section that is all of 2^63',
    'CORRUPT',
    /names.*cut off/,
    { frames, elf: { e_shstrndx: 4 }, sections: { '.xen_pages': { size: HUGE } } },
  ],
  [
    'two sections of one name',
    'CORRUPT',
    /two sections .xen_pages/,
    { frames, rename: { '.xen_shared_info': '.xen_pages' } },
  ],
  ...['.note.Xen', '.xen_prstatus', '.xen_pages'].map(
    (name) =>
      [
        `no ${name}`,
        'CORRUPT',
        new RegExp(`expected a section ${name}, found`),
        { frames, without: [name] },
      ] satisfies [string, 'CORRUPT', RegExp, MadeCore],
  ),
  ['no table of frames', 'CORRUPT', /found neither/, { frames, without: ['.xen_pfn'] }],
  ['both tables', 'CORRUPT', /found both/, { frames, rename: { '.xen_shared_info': '.xen_p2m' } }],
  ['a p2m in an HVM guest', 'CORRUPT', /expected .xen_pfn/, { frames, kind: 'pv', header: { magic: 0xf00f_ebeen } }],
  ...['.note.Xen', '.xen_prstatus', '.xen_shared_info', '.xen_pages', '.xen_pfn'].flatMap((name) =>
    [{ size: HUGE }, { offset: HUGE }, { offset: 2n ** 64n - 1n, size: 2n ** 64n - 1n }].map(
      (changed) =>
        [
          `${name} at ${Object.entries(changed)}`,
          'CORRUPT',
          /should be at bytes.*cut off/,
          { frames, sections: { [name]: changed } },
        ] satisfies [string, 'CORRUPT', RegExp, MadeCore],
    ),
  ),
  ['no notes', 'CORRUPT', /version of the format/, { frames, notes: [] }],
  [
    'no header note',
    'CORRUPT',
    /header note/,
    { frames, notes: [encodeElfNote('Xen', 0x200_0003, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))] },
  ],
  ['a note that leaves the section', 'CORRUPT', /needs 32 bytes/, { frames, sections: { '.note.Xen': { size: 50n } } }],
  ['version 2', 'UNSUPPORTED', /version 1.*found 2/, { frames, version: 2n }],
  ['another magic', 'CORRUPT', /magic.*0xf00febec/, { frames, header: { magic: 0xf00f_ebecn } }],
  ['pages of 16 KiB', 'UNSUPPORTED', /found 16384/, { frames, header: { pageBytes: 16384n } }],
  ['2^63 pages', 'CORRUPT', /counts 9223372036854775808 pages/, { frames, header: { pages: HUGE } }],
  ['2^63 vCPUs', 'CORRUPT', /8192 vCPUs.*9223372036854775808/, { frames, header: { vcpus: HUGE } }],
  ['more vCPUs than contexts', 'CORRUPT', /should hold 2 contexts/, { frames, header: { vcpus: 2n } }],
  [
    'contexts of another size',
    'CORRUPT',
    /contexts of 5168/,
    { frames, sections: { '.xen_prstatus': { size: 2800n } } },
  ],
  ['a page more than frames', 'CORRUPT', /\.xen_pages should have 3 entries/, { frames, header: { pages: 3n } }],
  [
    'fewer frames than pages',
    'CORRUPT',
    /\.xen_pfn should have 4 entries/,
    { frames, sections: { '.xen_pfn': { size: 24n } } },
  ],
  [
    'a table of half an entry',
    'CORRUPT',
    /\.xen_pfn should have 4 entries/,
    { frames, sections: { '.xen_pfn': { size: 30n } } },
  ],
  [
    'a p2m of half an entry',
    'CORRUPT',
    /\.xen_p2m should have 4 entries/,
    { frames, kind: 'pv', sections: { '.xen_p2m': { size: 56n } } },
  ],
  ['no frames', 'CORRUPT', /names no frame/, { frames: [] }],
  ['nothing but padding', 'CORRUPT', /names no frame/, { frames: [PADDING, PADDING] }],
  ['frames that descend', 'CORRUPT', /entry 2 of .xen_pfn names frame 1 after 2/, { frames: [0n, 2n, 1n] }],
  ['a frame twice', 'CORRUPT', /entry 2 of .xen_pfn names frame 1 after 1/, { frames: [0n, 1n, 1n] }],
  ['a frame twice, padding between', 'CORRUPT', /names frame 1 after 1/, { frames: [0n, 1n, PADDING, 1n] }],
  ['a frame twice in a p2m', 'CORRUPT', /entry 1 of .xen_p2m names frame 7 after 7/, { frames: [7n, 7n], kind: 'pv' }],
  ['frame 2^63', 'CORRUPT', /entry 1 .*0x8000000000000000, beyond/, { frames: [0n, HUGE] }],
  ['frame 2^64 - 2', 'CORRUPT', /0xfffffffffffffffe, beyond/, { frames: [0n, PADDING - 1n] }],
  ['frame 2^40', 'CORRUPT', /0x10000000000, beyond/, { frames: [0n, 2n ** 40n] }],
  ['a frame far above all others', 'CORRUPT', /up to frame 1099511627775: no guest/, { frames: [0n, 2n ** 40n - 1n] }],
  [
    'machine frame 2^63',
    'CORRUPT',
    /frame 1 the machine frame 0x8000000000000000/,
    { frames: [0n, 1n], machine: [9n, HUGE], kind: 'pv' },
  ],
  [
    'a frame with no machine frame',
    'CORRUPT',
    /machine frame 0xffffffffffffffff/,
    { frames: [0n, 1n], machine: [9n, PADDING], kind: 'pv' },
  ],
  [
    'a shared info of 8 bytes',
    'CORRUPT',
    /has only 8 bytes/,
    { frames, kind: 'pv', sections: { '.xen_shared_info': { size: 8n } } },
  ],
])('refuses a core with %s', async (_, code, message, core) => {
  const error = await refusal(() => openMade(core))
  expect(`${error.code}: ${error.message}`).toMatch(message)
  expect(error.code).toBe(code)
})

test('refuses what is no core file, and names it', async () => {
  mkdirSync(join(folder, 'folder'))
  writeFileSync(join(folder, 'empty'), '')
  writeFileSync(join(folder, 'text'), 'a text that is longer than the header of an elf file, which has 64 bytes')
  writeFileSync(join(folder, 'short'), '\x7fELF')
  for (const file of ['absent', 'folder', 'empty', 'text', 'short']) {
    const error = await refusal(() => open(file))
    expect(error.code).toBe('INVALID')
    expect(error.message).toContain(join(folder, file))
  }
})

describe.each(XEN_FIXTURE_NAMES)('%s', (name) => {
  test('is refused when it is cut off anywhere: in each section, and by one byte', async () => {
    const fixture = await unpackXenFixture(name)
    const path = join(folder, `${name}.core`)
    copyFileSync(fixture.core, path)
    using view = openXenCoreView(path, 0)
    const ends = [...view.sections.values()].flatMap(({ offset, size }) => [
      offset + size - 1,
      offset + Math.floor(size / 2),
      offset,
    ])
    for (const bytes of [...ends, 64 + 3 * 64, 64, 63].sort((a, b) => b - a)) {
      truncateSync(path, bytes)
      const error = await refusal(() => open(path))
      expect(error.message).toMatch(bytes < 64 ? /found a file of 63 bytes/ : /cut off/)
    }
  })
})

test('a core that is whole opens, wherever padding stands, which is no memory of the guest', async () => {
  await using guest = await openMade({ frames: [0n, PADDING, 1n, 5n, PADDING] })
  const runs: string[] = []
  for await (const { start, count, state } of guest.backing.backing({ within: { start: 0, count: 8 } })) {
    runs.push(`${start}+${count} ${state}`)
  }
  expect(runs).toEqual(['0+2 backed', '2+3 unbacked', '5+1 backed', '6+2 unbacked'])
  expect((await guest.hostMemory()).backedBytes).toBe(3 * 4096)
  const found = new Uint8Array(2 * 4096)
  guest.memory.read({ start: 0, count: 2 }, found)
  expect([found[0], found[4096]]).toEqual([1, 3])
  expect(() => guest.memory.read({ start: 4, count: 2 }, found)).toThrow(/^frame 4 cannot be read/)
  expect(() => guest.memory.read({ start: 5, count: 2 }, found)).toThrow(RangeError)
})

test('every vCPU has its notes, in order', async () => {
  const cr3s = [0x1000n, 0x2000n, 0x3000n]
  await using guest = await openMade({ frames, cr3s })
  const { elfNotes, cpus } = await guest.notes()
  expect(cpus).toBe(3)
  const notes = [...readElfNotes(elfNotes)].map(({ name, desc }) => {
    const view = new DataView(desc.buffer, desc.byteOffset)
    return name === 'QEMU' ? view.getBigUint64(392 + 3 * 8, true) : view.getUint32(32, true)
  })
  expect(notes).toEqual([1, 0x1000n, 2, 0x2000n, 3, 0x3000n])
})

test('machine frames lead back to frames, in any order; of two the first holds, and it is said', async () => {
  await using guest = await openMade({
    kind: 'pv',
    frames: [0n, 1n, 2n, 3n],
    machine: [90n, 70n, 71n, 70n],
    maxPfn: 4n,
  })
  const { toPfn } = guest.addressSpace
  expect([90, 70, 71, 72, 0, 2 ** 40].map((gfn) => toPfn(gfn))).toEqual([0, 1, 2, undefined, undefined, undefined])
  expect(guest.warnings.map(({ code }) => code)).toEqual(['MACHINE_FRAMES_SHARED'])
})

test('RAM of a PV guest goes to the end of its p2m, unless that cannot be', async () => {
  const kind = 'pv'
  for (const [maxPfn, end, warnings] of [
    [100n, 100, []],
    [3n, 6, []],
    [0n, 6, ['RAM_END_UNKNOWN']],
    [HUGE, 6, ['RAM_END_UNKNOWN']],
  ] as const) {
    await using guest = await openMade({ kind, frames, maxPfn })
    expect(guest.memory.extents).toEqual([{ name: 'ram', start: 0, count: end }])
    expect(guest.warnings.map(({ code }) => code)).toEqual(warnings)
  }
  await using guest = await openMade({ kind, frames, without: ['.xen_shared_info'] })
  expect(guest.warnings.map(({ code }) => code)).toEqual(['RAM_END_UNKNOWN'])
})

test('a file that is cut off after it was opened is unreadable there', async () => {
  await using guest = await openMade({ frames })
  truncateSync(join(folder, 'made.core'), 4096)
  expect(() => guest.memory.read({ start: 5, count: 1 }, new Uint8Array(4096))).toThrow(/cannot read frame 5.*ended/)
})

test('a core whose frames stand all alone is refused where the map of them would take too much memory', async () => {
  const most = 2 ** 23
  const count = most + 1
  const table = 2 ** 36
  const core = makeCore({
    frames: [0n],
    header: { pages: BigInt(count) },
    sections: {
      '.xen_pages': { offset: 4096n, size: BigInt(count) * 4096n },
      '.xen_pfn': { offset: BigInt(table), size: BigInt(count) * 8n },
    },
  })
  const path = join(folder, 'scattered.core')
  writeFileSync(path, core)
  const file = openSync(path, 'r+')
  const entries = new BigUint64Array(2 ** 17)
  for (let done = 0; done < count; done += entries.length) {
    for (let i = 0; i < entries.length; i++) entries[i] = BigInt(2 * (done + i))
    writeSync(file, new Uint8Array(entries.buffer), 0, Math.min(entries.length, count - done) * 8, table + done * 8)
  }
  closeSync(file)
  const error = await refusal(() => open('scattered.core'))
  expect(error.code).toBe('UNSUPPORTED')
  expect(error.message).toMatch(
    /8388608 runs at most.*192 MiB.*\.xen_pfn of .*frame 16777216: memory in so many pieces/,
  )
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 5)
  const { signal } = controller
  const options = { baseDir: folder, stateDir: folder, signal }
  await expect(openXen({ kind: 'core', file: 'scattered.core' }, options)).rejects.toMatchObject({ name: 'AbortError' })
  rmSync(path)
})

test('what xl dump-core never looks at is listed, and said where a PVH guest would have RAM there', async () => {
  const listed = async (core: MadeCore): Promise<string[]> => {
    await using guest = await openMade(core)
    const { notDumped } = guest.memory
    return [
      ...notDumped.map(({ name, startBytes, sizeBytes }) => `${name} ${startBytes / 4096}+${sizeBytes / 4096}`),
      ...guest.warnings.map(({ code }) => code),
    ]
  }
  const holes = ['video 160+32', 'devices 983040+65536']
  expect(await listed({ frames: [0n, 200n] })).toEqual(holes)
  expect(await listed({ frames: [0n, 0x10_0000n] })).toEqual([...holes, 'RAM_NOT_IN_CORE'])
  expect(await listed({ frames: [0n, 200n], kind: 'pv', maxPfn: 201n })).toEqual([])
})
