import { FIXTURE_NAMES, framesWithFlag, KPF, openMemoryView, unpackFixture } from '@ullage/lab'
import { encodeElfNote, readElfNotes } from '@ullage/layout'
import { countFrames, endOf } from '@ullage/pages'
import { describe, expect, test } from 'vitest'
import { openLinuxGuest } from '../src/index.ts'
import { classesOf, difference, framesOf } from './classes-of.ts'

/** The truth was read moments before the guest was stopped: its own reading took and freed this many frames at most. */
const DRIFT_FRAMES = 64

describe.each(FIXTURE_NAMES)('%s', (name) => {
  describe.each(['note', 'scan'] as const)('VMCOREINFO from the %s', (from) => {
    test('frames have the class that the guest kernel itself gives them', async () => {
      const fixture = await unpackFixture(name)
      using view = openMemoryView(fixture.regions)
      const guest = await openLinuxGuest(view, from === 'note' ? { elfNotes: fixture.elfNotes } : {})
      const { kpageflags } = fixture
      expect(guest).toMatchObject({
        vmcoreinfoFrom: from,
        kernel: fixture.uname,
        pageBytes: 4096,
        offlineTold: true,
        warnings: [],
      })
      expect(guest.uts).toMatchObject({ sysname: 'Linux', release: fixture.uname, machine: 'x86_64' })

      const classes = classesOf(guest, view.extents)
      expect(classes.size).toBe(countFrames(view.extents))
      const truth = (bit: number): number[] => framesWithFlag(kpageflags, bit).filter((pfn) => classes.has(pfn))

      expect(difference(truth(KPF.offline), framesOf(classes, 'offline'))).toEqual({ missed: [], extra: [] })
      expect(framesOf(classes, 'offline').length).toBeGreaterThan(20_000)
      // The kernel describes no frame beyond its last section.
      const nopage = [...truth(KPF.nopage), ...[...classes.keys()].filter((pfn) => pfn >= kpageflags.length)]
      expect(difference(nopage, framesOf(classes, 'noStructPage'))).toEqual({ missed: [], extra: [] })

      const free = difference(truth(KPF.buddy), framesOf(classes, 'free'))
      expect(free.missed.length + free.extra.length).toBeLessThan(DRIFT_FRAMES)
      expect(framesOf(classes, 'free').length).toBeGreaterThan(6000)

      const user = framesOf(classes, 'user')
      expect(difference(truth(KPF.huge), user).missed).toEqual([])
      const slab = truth(KPF.slab).filter((pfn) => classes.get(pfn) !== 'inUse')
      expect(slab.length).toBeLessThan(DRIFT_FRAMES)
      expect(framesOf(classes, 'unknown')).toEqual([])
    })
  })

  test('the size of another kernel’s struct pages is refused, and the guest’s own VMCOREINFO is found', async () => {
    const fixture = await unpackFixture(name)
    using view = openMemoryView(fixture.regions)
    const right = await openLinuxGuest(view, { elfNotes: fixture.elfNotes })
    for (const bytes of [56, 72, 80]) {
      const text = right.vmcoreinfo.text.replace(/^SIZE\(page\)=64$/m, `SIZE(page)=${bytes}`)
      const guest = await openLinuxGuest(view, { vmcoreinfo: text })
      expect(guest.vmcoreinfo.text).toBe(right.vmcoreinfo.text)
      expect(guest.warnings).toMatchObject([
        { code: 'VMCOREINFO_REFUSED', text: expect.stringContaining('frames of kernel text') },
      ])
    }
  })

  test('windows of any size and place give the same classes', async () => {
    const fixture = await unpackFixture(name)
    using view = openMemoryView(fixture.regions)
    const guest = await openLinuxGuest(view, { elfNotes: fixture.elfNotes })
    const whole = classesOf(guest, view.extents)
    expect(classesOf(guest, view.extents, 10_007)).toEqual(whole)
    expect(classesOf(guest, view.extents, 100_000)).toEqual(whole)
  })

  test('protected frames are backed, in use, and hold what a reader of a dump needs', async () => {
    const fixture = await unpackFixture(name)
    using view = openMemoryView(fixture.regions)
    const guest = await openLinuxGuest(view, { elfNotes: fixture.elfNotes })
    const ranges = guest.protectedFrames()
    const isProtected = (pfn: number): boolean => ranges.some((range) => pfn >= range.start && pfn < endOf(range))
    const imageFrame = (symbol: string): number =>
      Number((fixture.symbols.get(symbol) as bigint) - 0xffff_ffff_8000_0000n + guest.physBase) >>> 12
    const symbols = ['_stext', 'linux_banner', 'init_top_pgt', 'init_uts_ns', 'mem_section', 'init_task']
    expect(symbols.filter((symbol) => !isProtected(imageFrame(symbol)))).toEqual([])
    const classes = classesOf(guest, view.extents)
    const left = new Set(['offline', 'free', 'hwpoison', 'unaccepted', 'noStructPage', 'user', 'cache', 'cachePrivate'])
    for (const range of ranges) {
      expect({ range, readable: view.isReadable(range) }).toEqual({ range, readable: true })
      for (let pfn = range.start; pfn < endOf(range); pfn++) {
        if (left.has(classes.get(pfn) as string)) expect.fail(`frame ${pfn} is protected and ${classes.get(pfn)}`)
      }
    }
    // Text, data and bss of a cloud kernel, and one frame of struct pages for 64 of memory.
    expect(countFrames(ranges)).toBeGreaterThan(8000)
    expect(countFrames(ranges)).toBeLessThan(16_000)
  })
})

test('a note that is not this guest’s is refused and memory is searched instead', async () => {
  const fixture = await unpackFixture('virtio-v6.12-balloon')
  const other = await unpackFixture('virtio-v6.1-vmem')
  using view = openMemoryView(fixture.regions)
  const [strange] = [...readElfNotes(other.elfNotes)].filter(({ name }) => name === 'VMCOREINFO')
  if (!strange) throw new Error('the notes of the other guest hold no VMCOREINFO')
  const mixed = Buffer.concat([encodeElfNote('VMCOREINFO', strange.type, strange.desc), fixture.elfNotes])
  // The vCPUs of this guest are in the notes; a VMCOREINFO of its own, too, but the strange one comes first.
  await expect(openLinuxGuest(view, { elfNotes: mixed })).resolves.toMatchObject({ kernel: fixture.uname })
  const alone = encodeElfNote('VMCOREINFO', strange.type, strange.desc)
  const guest = await openLinuxGuest(view, { elfNotes: alone })
  expect(guest).toMatchObject({ vmcoreinfoFrom: 'scan', kernel: fixture.uname })
  expect(guest.warnings[0]).toMatchObject({ code: 'VMCOREINFO_REFUSED', text: expect.stringContaining('_stext') })
  // With the other guest's vCPUs, whose page tables are not in this memory, no kernel here can be running.
  await expect(openLinuxGuest(view, { elfNotes: other.elfNotes })).rejects.toMatchObject({ code: 'KERNEL_NOT_RUNNING' })
})

test('memory without its VMCOREINFO page is an error that says what was looked for', async () => {
  const fixture = await unpackFixture('virtio-v6.12-balloon')
  using view = openMemoryView(fixture.regions)
  const start = 0
  const first = { ...view, extents: [{ start, count: 1024 }] }
  await expect(openLinuxGuest(first)).rejects.toMatchObject({ code: 'NO_VMCOREINFO' })
})
