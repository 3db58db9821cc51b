import { closeSync, copyFileSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashOfPage, openXenSaveView, patternPage, unpackXenSave, XEN_SAVE_NAMES, type XenSave } from '@ullage/lab'
import { readElfNotes } from '@ullage/layout'
import type { BackingRun, OpenGuest } from '@ullage/offline-query'
import { type ConformanceFixture, offlineQueryConformance } from '@ullage/offline-query/conformance'
import { openXen } from '@ullage/xen'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AddressWalk } from './address-walk.ts'

const FRAME_BYTES = 4096
const KPF_OFFLINE = 23n
/** 192 MiB: what the guest was given at first. The kernel's struct pages go on to the end of a section. */
const RAM_FRAMES = 0xc000
/** Of Xen's own: the shared info and a grant table. dom0 can map them, and the saver does not. */
const XEN_HEAP = [0x10, 0x1_7fff]

async function open(save: XenSave): Promise<OpenGuest> {
  return openXen({ kind: 'save', file: 'save' }, { baseDir: save.dir, stateDir: save.dir })
}

describe.each(XEN_SAVE_NAMES)('the kept image %s', (name) => {
  const isPv = name === 'xen-pv-save'
  let save: XenSave
  let view: ReturnType<typeof openXenSaveView>
  let guest: OpenGuest
  beforeAll(async () => {
    save = await unpackXenSave(name)
    view = openXenSaveView(save.save, RAM_FRAMES)
    guest = await open(save)
  })
  afterAll(async () => {
    view?.[Symbol.dispose]()
    await guest?.[Symbol.asyncDispose]()
  })

  const page = (pfn: number): Uint8Array => {
    const into = new Uint8Array(FRAME_BYTES)
    guest.memory.read({ start: pfn, count: 1 }, into)
    return into
  }

  it('is an x86_64 guest in a file, with nothing to warn of', () => {
    expect(guest.identity).toEqual({ backend: 'xen', machine: 'x86_64', kind: 'file' })
    expect(guest.warnings).toEqual([])
  })

  it('has RAM as the guest was given it, and beside it what the toolstack put below 4 GiB', () => {
    const ram = { name: 'ram', start: 0, count: RAM_FRAMES }
    const special = [
      { name: 'xen-special', start: 0xf_c000, count: 9 },
      { name: 'xen-special', start: 0xf_eff8, count: 8 },
    ]
    expect(guest.memory.extents).toEqual(isPv ? [ram] : [ram, ...special])
    expect(guest.memory.notDumped).toEqual([])
  })

  it('backs exactly the frames that dom0 could map of the same guest', async () => {
    const backed = new Set<number>()
    for await (const run of guest.backing.backing({ within: { start: 0, count: 2 ** 20 } })) {
      if (run.state !== 'backed') continue
      for (let pfn = run.start; pfn < run.start + run.count; pfn++) backed.add(pfn)
    }
    const expected = [...save.hashes.keys()].filter((pfn) => isPv || !XEN_HEAP.includes(pfn))
    expect(backed).toEqual(new Set(expected))
    expect((await guest.hostMemory()).backedBytes).toBe(backed.size * FRAME_BYTES)
  })

  it('backs no frame that the guest’s kernel calls offline, and all others but Xen’s own', async () => {
    const states = new Map<number, string>()
    for await (const { start, count, state } of guest.backing.backing({ within: { start: 0, count: RAM_FRAMES } })) {
      for (let pfn = start; pfn < start + count; pfn++) states.set(pfn, state)
    }
    const wrong = [...states].filter(([pfn, state]) => {
      const isOffline = (((save.kpageflags[pfn] ?? 0n) >> KPF_OFFLINE) & 1n) === 1n
      return isOffline === (state === 'backed') && (isPv || !XEN_HEAP.includes(pfn))
    })
    expect(wrong).toEqual([])
    expect(states.size).toBe(RAM_FRAMES)
  })

  it('has every page as dom0 saw it, but for page tables of a PV guest, whose frames are its own here', () => {
    const differing: number[] = []
    for (const [pfn, hash] of save.hashes) {
      if (!view.backed.has(pfn)) continue
      if (hashOfPage(page(pfn)) !== hash) differing.push(pfn)
    }
    const tables = [...view.types].filter(([, type]) => type !== 0).map(([pfn]) => pfn)
    expect(tables.length > 0).toBe(isPv)
    expect(differing.filter((pfn) => !tables.includes(pfn))).toEqual([])
    expect(differing.length > 0).toBe(isPv)
  })

  it('has every pattern page where the guest’s process had it', () => {
    expect(save.pattern).toHaveLength(1024)
    for (const one of save.pattern) {
      if (Buffer.compare(page(one.pfn), patternPage(one)) !== 0) throw new Error(`page ${one.index}, frame ${one.pfn}`)
    }
  })

  it('leads from CR3 of both vCPUs through its page tables to the kernel', async () => {
    const { elfNotes, cpus } = await guest.notes()
    expect(cpus).toBe(2)
    const notes = [...readElfNotes(elfNotes)]
    expect(notes.map((note) => `${note.name} ${note.type}`)).toEqual(['CORE 1', 'QEMU 0', 'CORE 1', 'QEMU 0'])
    const text = { start: save.symbols.get('_text') ?? 0n, end: save.symbols.get('_etext') ?? 0n }
    for (const [prstatus, qemu] of [notes.slice(0, 2), notes.slice(2)]) {
      const registers = new DataView(prstatus?.desc.buffer as ArrayBuffer, prstatus?.desc.byteOffset)
      const rip = registers.getBigUint64(112 + 16 * 8, true)
      expect(rip >= text.start && rip < text.end).toBe(true)
      expect(registers.getBigUint64(112 + 22 * 8, true) >> 40n).toBe(0xff_ff88n)
      const control = new DataView(qemu?.desc.buffer as ArrayBuffer, qemu?.desc.byteOffset)
      const walk = new AddressWalk(guest, control.getBigUint64(392 + 3 * 8, true))
      const banner = walk.read(save.symbols.get('linux_banner') ?? 0n, 64)
      expect(Buffer.from(banner).toString('latin1')).toMatch(`Linux version ${save.uname} `)
      expect(walk.pfn(save.symbols.get('_stext') ?? 0n)).toBe(0x1000)
    }
  })

  it('has the same RAM where no configuration tells it: what it needs stands in its own memory', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ullage-xen-'))
    try {
      const file = join(folder, 'save')
      copyFileSync(save.save, file)
      const fd = openSync(file, 'r+')
      // Mandatory flags: no JSON.
      writeSync(fd, Uint8Array.of(2, 0, 0, 0), 0, 4, 36)
      closeSync(fd)
      await using untold = await openXen({ kind: 'save', file }, { baseDir: folder, stateDir: folder })
      expect(untold.memory.extents).toEqual(guest.memory.extents)
      expect(untold.warnings.map(({ code }) => code)).toEqual(isPv ? [] : ['RAM_END_UNKNOWN'])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('gives its file back when it is closed', async () => {
    const other = await open(save)
    await other[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
    expect(() => other.memory.read({ start: 0, count: 1 }, new Uint8Array(FRAME_BYTES))).toThrow(/closed/)
  })

  offlineQueryConformance(
    { describe, it },
    {
      name,
      open: async (): Promise<ConformanceFixture> => ({
        guest: await open(save),
        truth: {
          states: [...view.backed.allRuns()].map((run): BackingRun => ({ ...run, state: 'backed' })),
          content: (pfn) => {
            const content = new Uint8Array(FRAME_BYTES)
            view.read({ start: pfn, count: 1 }, content)
            return content
          },
        },
      }),
    },
  )
})
