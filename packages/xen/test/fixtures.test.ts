import { unpackXenFixture, openXenCoreView, patternPage, XEN_FIXTURE_NAMES, type XenFixture } from '@ullage/lab'
import { findElfNote, readElfNotes } from '@ullage/layout'
import type { BackingRun, OpenGuest } from '@ullage/offline-query'
import { type ConformanceFixture, offlineQueryConformance } from '@ullage/offline-query/conformance'
import { openXen } from '@ullage/xen'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AddressWalk } from './address-walk.ts'

const FRAME_BYTES = 4096

async function open(fixture: XenFixture): Promise<OpenGuest> {
  return openXen({ kind: 'core', file: 'core' }, { baseDir: fixture.dir, stateDir: fixture.dir })
}

describe.each(XEN_FIXTURE_NAMES)('the kept guest %s', (name) => {
  let fixture: XenFixture
  let core: ReturnType<typeof openXenCoreView>
  let guest: OpenGuest
  beforeAll(async () => {
    fixture = await unpackXenFixture(name)
    core = openXenCoreView(fixture.core, fixture.kpageflags.length)
    guest = await open(fixture)
  })
  afterAll(async () => {
    core?.[Symbol.dispose]()
    await guest?.[Symbol.asyncDispose]()
  })

  it('is an x86_64 guest in a file, with nothing to warn of', () => {
    expect(guest.identity).toEqual({ backend: 'xen', machine: 'x86_64', kind: 'file' })
    expect(guest.warnings).toEqual([])
  })

  it('has RAM where its kernel has struct pages, and grant frames beside it', () => {
    const ram = { name: 'ram', start: 0, count: fixture.kpageflags.length }
    const grants = { name: 'xen-grants', start: 0x17fff, count: 1 }
    expect(guest.memory.extents).toEqual(name === 'xen-pv' ? [ram] : [ram, grants])
  })

  it('backs exactly the frames that the core lists', async () => {
    for await (const run of guest.backing.backing({ within: { start: 0, count: 2 ** 20 } })) {
      for (let pfn = run.start; pfn < run.start + run.count; pfn++) {
        if ((run.state === 'backed') !== core.backed.has(pfn)) throw new Error(`frame ${pfn} is ${run.state}`)
      }
    }
    const { backedBytes, residentBytes } = await guest.hostMemory()
    expect(backedBytes).toBe(core.backed.size * FRAME_BYTES)
    expect(residentBytes).toBe(backedBytes)
  })

  it('has every pattern page where the guest’s process had it', () => {
    expect(fixture.pattern).toHaveLength(1024)
    const found = new Uint8Array(FRAME_BYTES)
    for (const page of fixture.pattern) {
      guest.memory.read({ start: page.pfn, count: 1 }, found)
      if (Buffer.compare(found, patternPage(page)) !== 0) throw new Error(`page ${page.index}, frame ${page.pfn}`)
    }
  })

  it('has the registers of its one vCPU', async () => {
    const { elfNotes, cpus } = await guest.notes()
    expect(cpus).toBe(1)
    const notes = [...readElfNotes(elfNotes)]
    expect(notes.map((note) => `${note.name} ${note.type} ${note.desc.length}`)).toEqual(['CORE 1 336', 'QEMU 0 440'])
    const [prstatus] = notes
    const view = new DataView(prstatus?.desc.buffer as ArrayBuffer, prstatus?.desc.byteOffset)
    const text = { start: fixture.symbols.get('_text') ?? 0n, end: fixture.symbols.get('_etext') ?? 0n }
    const rip = view.getBigUint64(112 + 16 * 8, true)
    expect(rip >= text.start && rip < text.end).toBe(true)
    // A vCPU that idles in the kernel: its stack is init_task's, its gs the per-CPU area.
    expect(view.getUint32(32, true)).toBe(1)
    expect(view.getBigUint64(112 + 19 * 8, true) >> 24n).toBe(0xffff_ffff_82n)
    expect(view.getBigUint64(112 + 22 * 8, true)).toBe(0xffff_8880_0f80_0000n)
    expect(BigInt.asIntN(16, view.getBigUint64(112 + 17 * 8, true))).toBe(name === 'xen-pv' ? -0x1fcdn : 0x10n)
  })

  it('leads from CR3 through its page tables to the kernel', async () => {
    const note = findElfNote((await guest.notes()).elfNotes, 'QEMU')
    const cr3 = new DataView(note?.desc.buffer as ArrayBuffer, note?.desc.byteOffset).getBigUint64(392 + 3 * 8, true)
    const walk = new AddressWalk(guest, cr3)
    const text = (symbol: string, bytes: number): string =>
      Buffer.from(walk.read(fixture.symbols.get(symbol) ?? 0n, bytes)).toString('latin1')
    expect(text('linux_banner', 64)).toMatch(`Linux version ${fixture.uname} `)
    expect(text('init_uts_ns', 512)).toContain(`${fixture.uname}\0`)
    expect(walk.pfn(fixture.symbols.get('_stext') ?? 0n)).toBe(0x1000)
  })

  it('gives its file back when it is closed', async () => {
    const other = await open(fixture)
    await other[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
    expect(() => other.memory.read({ start: 0, count: 1 }, new Uint8Array(FRAME_BYTES))).toThrow(/closed/)
  })

  offlineQueryConformance(
    { describe, it },
    {
      name,
      open: async (): Promise<ConformanceFixture> => ({
        guest: await open(fixture),
        truth: {
          states: [...core.backed.allRuns()].map((run): BackingRun => ({ ...run, state: 'backed' })),
          content: (pfn) => {
            const content = new Uint8Array(FRAME_BYTES)
            core.read({ start: pfn, count: 1 }, content)
            return content
          },
        },
      }),
    },
  )
})
