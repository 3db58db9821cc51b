import {
  makeSyntheticGuest,
  openSyntheticGuest,
  syntheticEras,
  SyntheticGuest,
  SyntheticKernel,
  type SyntheticPage,
} from '@ullage/lab'
import { encodeElfNote } from '@ullage/layout'
import type { PfnRange } from '@ullage/pages'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { dumpDefaults, type DumpReport, dumpGuest, pagesOf } from '../src/index.ts'
import { HostStates } from '../src/host-states.ts'

const SECTION = 32_768
const UNBACKED = { start: 40_000, count: 1000 }
const FREE = { start: 20_000, count: 64 }
const FRAMES = 2 * SECTION

let folder: string
let dumps = 0

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ullage-metadata-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const isIn = ({ start, count }: PfnRange, pfn: number) => pfn >= start && pfn < start + count

function pages(pfn: number): SyntheticPage | undefined {
  if (isIn(UNBACKED, pfn)) return { use: 'offline' }
  return isIn(FREE, pfn) ? { use: 'free' } : undefined
}

/** A guest with a kernel, some of whose memory is free, and some in a balloon, without memory of the host's. */
function ballooned(era: keyof typeof syntheticEras = '6.12') {
  const made = makeSyntheticGuest({ era: syntheticEras[era], pages })
  made.guest.unbacked.add(UNBACKED)
  return made
}

const noteOf = (text: string): Uint8Array => encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode(text))

async function dump(guest: SyntheticGuest, elfNotes: Uint8Array): Promise<DumpReport> {
  await using open = openSyntheticGuest(guest, { elfNotes })
  const output = join(folder, `vmcore-${++dumps}`)
  const report = await dumpGuest(open, { ...dumpDefaults, output, level: 31, compression: 'none', jobs: 1 })
  expect(JSON.parse(await readFile(`${output}.report.json`, 'utf8'))).toMatchObject({ frames: { total: FRAMES } })
  expect(guest.forbidden).toEqual([])
  return report
}

/** The dump was made, by the host's word alone, and the report says why. */
function expectHostOnly(report: DumpReport, code: string, reason: RegExp): void {
  expect(report).toMatchObject({ trust: 'host', guest: { vmcoreinfo: 'none' } })
  const { byClass, byFate } = report.frames
  expect(byClass.unknown).toEqual({ backed: FRAMES - UNBACKED.count, swapped: 0, unbacked: UNBACKED.count, unknown: 0 })
  // What is not backed reads as zeros here, and is not read.
  expect(byFate.leaveOut).toBe(0)
  expect((byFate.write ?? 0) + (byFate.zero ?? 0)).toBe(FRAMES)
  expect(report.warnings).toContainEqual({ code, text: expect.stringMatching(reason) })
  // What the word is looked for in was all there.
  expect(report.disagreements).toMatchObject({ wordLost: false, alarm: false })
}

describe('no kernel can be found', () => {
  test('without VMCOREINFO anywhere', async () => {
    const guest = new SyntheticGuest({ extents: [{ start: 0, count: FRAMES }] })
    guest.unbacked.add(UNBACKED)
    expectHostOnly(await dump(guest, new Uint8Array()), 'NO_VMCOREINFO', /found none: is the guest a Linux/)
  })

  test.each([
    [
      "another kernel's",
      (own: string) => own.replace(/OSRELEASE=.*/, 'OSRELEASE=9.9.9'),
      /init_uts_ns names release "6\.12\.0-synthetic", OSRELEASE is "9\.9\.9"/,
    ],
    [
      'of a boot before, moved elsewhere',
      (own: string) => own.replace(/NUMBER\(phys_base\)=.*/, 'NUMBER(phys_base)=4194304'),
      /_stext at 0x[0-9a-f]+ should be in frame \d+; by its x86-64 four-level page tables/,
    ],
    ['cut off before its symbols', (own: string) => own.slice(0, own.indexOf('SYMBOL(_stext)')), /it has no valid/],
    ['cut off before SIZE(page)', (own: string) => own.slice(0, own.indexOf('SIZE(page)')), /it has no valid/],
    ['of other pages', (own: string) => own.replace('PAGESIZE=4096', 'PAGESIZE=65536'), /its pages have 65536 bytes/],
    [
      'with sections that lead nowhere',
      (own: string) => own.replace(/SYMBOL\(mem_section\)=.*/, 'SYMBOL(mem_section)=ffff888fffff0000'),
      /mem_section at 0xffff888fffff0000 has no online section/,
    ],
    ['not text', () => '\u0001\u0002\u0003', /it has no OSRELEASE line/],
    ['empty', () => '', /it has no OSRELEASE line/],
    ['of a megabyte', (own: string) => own + 'X=1\n'.repeat(300_000), /a kernel writes 65536 bytes at most/],
  ] as const)('with one that is %s', async (_what, change, reason) => {
    const { guest, kernel } = ballooned()
    guest.memory.frame(kernel.vmcoreinfoPfn).fill(0)
    expectHostOnly(await dump(guest, noteOf(change(kernel.vmcoreinfo))), 'NO_VALID_VMCOREINFO', reason)
  })

  test('in a terabyte that the host backs little of: what has no memory is not searched', async () => {
    const frames = 2 ** 28
    const guest = new SyntheticGuest({ extents: [{ start: 0, count: frames }] })
    guest.unbacked.add({ start: 512, count: frames - 1024 })
    const asked = vi.spyOn(HostStates.prototype, 'isReadable')
    await using open = openSyntheticGuest(guest)
    const report = await pagesOf(open, { pause: false })
    expect(report.frames.byClass.unknown).toMatchObject({ backed: 1024, unbacked: frames - 1024 })
    expect(asked.mock.calls.length).toBeLessThan(10_000)
    asked.mockRestore()
    expect(guest.forbidden).toEqual([])
  })

  test('with the root page table in a frame that the host does not back', async () => {
    const { guest, kernel } = ballooned()
    guest.unbacked.add({ start: kernel.rootPfn, count: 1 })
    await using open = openSyntheticGuest(guest, { elfNotes: kernel.note })
    const report = await pagesOf(open, { pause: false })
    expect(report).toMatchObject({ trust: 'host' })
    expect(report.warnings).toMatchObject([
      {
        code: 'NO_VALID_VMCOREINFO',
        text: expect.stringMatching(/by its x86-64 four-level page tables it is unreadable/),
      },
      { code: 'WORD_LOST' },
    ])
    expect(report.disagreements).toMatchObject({ wordLost: true, alarm: true })
  })

  test.each([
    ['nothing but notes', (notes: { note: Uint8Array }) => notes.note],
    ['nothing but notes of vCPUs', (notes: { vcpuNote: Uint8Array }) => notes.vcpuNote],
  ])('with a host that backs nothing of the guest, and %s: the alarm is raised', async (_, notes) => {
    const { guest, kernel } = ballooned()
    guest.unbacked.add({ start: 0, count: FRAMES })
    await using open = openSyntheticGuest(guest, { elfNotes: notes(kernel), unbackedReads: 'nothing' })
    const report = await pagesOf(open, { pause: false })
    expect(report.trust).toBe('host')
    expect(report.disagreements).toMatchObject({ wordLost: true, alarm: true })
    expect(report.warnings.map(({ code }) => code)).toContain('WORD_LOST')
    const forced = await pagesOf(open, { pause: false, trust: 'host' })
    expect(forced.disagreements).toMatchObject({ wordLost: false, alarm: false })
  })
})

describe('a kernel is found all the same', () => {
  test.each([
    ['no note', () => new Uint8Array()],
    ["another kernel's note", (own: string) => noteOf(own.replace(/OSRELEASE=.*/, 'OSRELEASE=9.9.9'))],
    ['a note that was cut off', (own: string) => noteOf(own.slice(0, 300))],
    ['notes that are none', () => new Uint8Array([1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0])],
  ] as const)('with %s: from memory', async (what, note) => {
    const { guest, kernel } = ballooned()
    const report = await dump(guest, note(kernel.vmcoreinfo))
    expect(report).toMatchObject({ trust: 'guest', guest: { vmcoreinfo: 'scan' } })
    expect(report.frames.byClass.offline).toMatchObject({ unbacked: UNBACKED.count })
    const told = report.warnings.map(({ code }) => code)
    const cut = what === 'notes that are none' ? ['NOTES_CUT'] : []
    expect(told).toEqual(what === 'no note' ? [] : ['VMCOREINFO_REFUSED', ...cut])
  })

  test('with a BUILD-ID that is garbage, as stable kernels of some months wrote it', async () => {
    const { guest, kernel } = ballooned('6.6')
    const text = kernel.vmcoreinfo.replace(/BUILD-ID=.*/, 'BUILD-ID=\u0000\u00ff\u0007%n')
    // The text goes on after the NUL, which no reader can know: what follows is gone.
    expect(text).toContain('PAGESIZE')
    const printable = kernel.vmcoreinfo.replace(/BUILD-ID=.*/, 'BUILD-ID=ffffffffffffffffe97c0bd1deadbeef')
    const report = await dump(guest, noteOf(printable))
    expect(report).toMatchObject({ trust: 'guest', guest: { vmcoreinfo: 'note' }, warnings: [] })
  })

  test('beside one that ran before and whose memory is still there', async () => {
    const guest = new SyntheticGuest({ extents: [{ start: 0, count: FRAMES }] })
    const before = new SyntheticKernel(guest, { era: syntheticEras['6.1'], release: '6.1.0-before' })
    const running = new SyntheticKernel(guest, { at: SECTION, release: '6.12.0-running', pages })
    await using open = openSyntheticGuest(guest, { elfNotes: new Uint8Array([...before.note, ...running.vcpuNote]) })
    const report = await pagesOf(open, { pause: false })
    expect(report.guest).toMatchObject({ kernel: '6.12.0-running', vmcoreinfo: 'scan' })
    expect(report.warnings).toMatchObject([
      { code: 'VMCOREINFO_REFUSED', text: expect.stringContaining('6.1.0-before') },
    ])
  })
})

describe('mem_map in part', () => {
  test('not backed: those frames are unknown and kept, the others have their classes', async () => {
    const { guest, kernel } = ballooned()
    const [first] = kernel.memMap.frames
    // Struct pages of frames 6400 to 12 799.
    guest.unbacked.add({ start: (first?.start ?? 0) + 100, count: 100 })
    const report = await dump(guest, kernel.note)
    expect(report.frames.byClass.unknown).toMatchObject({ backed: 6400 })
    expect(report.frames.byClass.offline).toMatchObject({ unbacked: UNBACKED.count })
    expect(report.trust).toBe('guest')
    expect(report.disagreements.alarm).toBe(true)
  })

  test('not mapped, or mapped outside guest RAM: likewise', async () => {
    for (const entry of [0n, (BigInt(FRAMES) << 12n) | 0x80n | 3n]) {
      const { guest, kernel } = ballooned()
      const at = kernel.tables.entryAt(kernel.memMap.addressOf(SECTION), kernel.architecture.levels.length - 2)
      guest.memory.writeU64(at ?? 0, entry)
      const report = await dump(guest, kernel.note)
      expect(report.frames.byClass.unknown).toMatchObject({
        backed: SECTION - UNBACKED.count,
        unbacked: UNBACKED.count,
      })
      expect(report.frames.byClass.inUse).toMatchObject({ backed: SECTION - FREE.count })
    }
  })

  test('never initialised: those frames are unknown', async () => {
    const { guest, kernel } = makeSyntheticGuest({
      pages: (pfn) => (pfn >= SECTION ? { use: 'uninitialised' } : undefined),
    })
    const report = await dump(guest, kernel.note)
    expect(report.frames.byClass.unknown).toMatchObject({ backed: SECTION })
  })

  test('of a section whose entry cannot be read: likewise', async () => {
    const { guest, kernel } = ballooned()
    for (const start of kernel.sectionPfns) guest.unbacked.add({ start, count: 1 })
    await using open = openSyntheticGuest(guest, { elfNotes: kernel.note })
    const { warnings, disagreements } = await pagesOf(open, { pause: false })
    expect(warnings[0]).toMatchObject({ code: 'NO_VALID_VMCOREINFO', text: expect.stringContaining('mem_section') })
    expect(disagreements).toMatchObject({ wordLost: true, alarm: true })
  })
})

test.each(['4.19', '6.6 without hugetlb'] as const)(
  'a kernel of %s cannot say offline: the report says so, the host decides',
  async (era) => {
    const { guest, kernel } = ballooned(era)
    const report = await dump(guest, kernel.note)
    expect(report.warnings).toMatchObject([{ code: 'OFFLINE_UNTOLD' }])
    expect(report.frames.byClass.inUse).toMatchObject({ unbacked: UNBACKED.count })
    expect(report.disagreements).toMatchObject({ offlineUntold: UNBACKED.count, alarm: false })
    expect(report.frames.byFate).toMatchObject({ leaveOut: UNBACKED.count + FREE.count })
  },
)

test('a kernel that stores page types in a way that is not known: no free page is found, and the report says so', async () => {
  const { guest, kernel } = ballooned()
  const told = kernel.vmcoreinfo.replace(/(NUMBER\(PAGE_BUDDY_MAPCOUNT_VALUE\))=.*/, '$1=-1879048193')
  expect(told).not.toBe(kernel.vmcoreinfo)
  const report = await dump(guest, noteOf(told))
  expect(report.warnings).toMatchObject([{ code: 'NO_FREE_PAGES', text: expect.stringContaining(`none of ${FRAMES}`) }])
  // What may be free is kept.
  expect(report.frames.byFate).toMatchObject({ leaveOut: UNBACKED.count })
  expect(report.disagreements.alarm).toBe(false)
})
