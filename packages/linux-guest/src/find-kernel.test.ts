import { describe, expect, test } from 'vitest'
import { concat, SECTION } from '../test/classes-at.ts'
import { SyntheticGuest, SyntheticKernel, syntheticGuest } from '../test/synthetic-guest.ts'
import { vcpuNote } from '../test/vcpu-note.ts'
import { openLinuxGuest } from './linux-guest.ts'

describe('several candidates', () => {
  test('text that memory does not bear out is refused, each with its reason', async () => {
    const { guest, kernel } = syntheticGuest()
    const spoil = (key: string, value: string): string =>
      kernel.vmcoreinfo.replace(new RegExp(`^${key.replace(/[()]/g, '\\$&')}=.*$`, 'm'), `${key}=${value}`)
    const wrong: readonly [string, string, string][] = [
      ['OSRELEASE', '9.9.9', 'init_uts_ns names release "6.12.0-synthetic", OSRELEASE is "9.9.9"'],
      ['PAGESIZE', '65536', 'its pages have 65536 bytes'],
      ['NUMBER(phys_base)', '2097152', '_stext'],
      ['NUMBER(phys_base)', '-99999999999', 'is not in the kernel image'],
      ['NUMBER(phys_base)', '1073741824', 'which is not guest RAM'],
      ['NUMBER(pgtable_l5_enabled)', '1', '_stext'],
      ['SYMBOL(mem_section)', 'ffffffff81000000', 'mem_section at 0xffffffff81000000 has no online section'],
      ['LENGTH(mem_section)', '7', 'LENGTH(mem_section) is 7'],
      ['NUMBER(SECTION_SIZE_BITS)', '13', 'no kernel'],
      ['SIZE(page)', '4096', 'SIZE(page) is 4096'],
      ['SIZE(page)', '80', 'SIZE(page) or an offset is another kernel'],
      ['OFFSET(page._mapcount)', '61', 'OFFSET(page._mapcount) is 61'],
      ['NUMBER(PG_lru)', '64', 'NUMBER(PG_lru) is 64'],
      ['LENGTH(zone.free_area)', '4000000000', 'LENGTH(zone.free_area) is 4000000000'],
    ]
    // A page that only looks like VMCOREINFO is not in the way of the real one.
    for (const [index, [key, value]] of wrong.entries()) {
      guest.frame(index + 1).set(new TextEncoder().encode(spoil(key, value)))
    }
    await expect(openLinuxGuest(guest)).resolves.toMatchObject({ vmcoreinfoFrom: 'scan' })

    guest.frame(kernel.vmcoreinfoPfn).fill(0)
    for (const [key, value, reason] of wrong) {
      for (let index = 0; index < wrong.length; index++) guest.frame(index + 1).fill(0)
      guest.frame(1).set(new TextEncoder().encode(spoil(key, value)))
      await expect(openLinuxGuest(guest)).rejects.toMatchObject({
        code: 'NO_VALID_VMCOREINFO',
        message: expect.stringContaining(reason),
      })
    }
  })

  test('whoever wants the search to end is heard before the next of them', async () => {
    const { guest, kernel } = syntheticGuest()
    for (let index = 1; index < 100; index++) {
      guest.frame(index).set(new TextEncoder().encode(`${kernel.vmcoreinfo}OTHER=${index}\n`))
    }
    const controller = new AbortController()
    setImmediate(() => controller.abort())
    await expect(openLinuxGuest(guest, { signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('the kernel that a vCPU runs comes before one that ran before and knew more memory', async () => {
    const guest = new SyntheticGuest([{ start: 0, count: 4 * SECTION }])
    const before = new SyntheticKernel(guest, { release: '6.12.0-before' })
    const running = new SyntheticKernel(guest, { release: '6.12.0-running', at: 2 * SECTION })
    guest.writeU64(running.sectionAt(3), 0n)
    const found = await openLinuxGuest(guest)
    expect(found.kernel).toBe('6.12.0-before')
    const confirmed = await openLinuxGuest(guest, { elfNotes: vcpuNote(running.rootPfn) })
    expect(confirmed).toMatchObject({ kernel: '6.12.0-running', warnings: [] })
    // In user mode with page table isolation: the second of two tables, which has no kernel text.
    const user = await openLinuxGuest(guest, { elfNotes: vcpuNote(running.rootPfn + 1) })
    expect(user.kernel).toBe('6.12.0-running')
    const odd = await openLinuxGuest(guest, { elfNotes: concat(before.note, vcpuNote(running.rootPfn)) })
    expect(odd).toMatchObject({ kernel: '6.12.0-running', vmcoreinfoFrom: 'scan' })
    expect(odd.warnings).toMatchObject([
      { code: 'VMCOREINFO_REFUSED', text: expect.stringContaining('no vCPU runs its kernel') },
    ])
    // A vCPU in firmware and one that does not page are not in the way of a third.
    const mixed = concat(vcpuNote(5), vcpuNote(0), vcpuNote(running.rootPfn))
    await expect(openLinuxGuest(guest, { elfNotes: mixed })).resolves.toMatchObject({ kernel: '6.12.0-running' })
  })

  describe('of a kernel that no vCPU runs', () => {
    const message = expect.stringMatching(/memory holds the kernel 6\.12\.0-synthetic .*is rebooting/)
    const refusal = { code: 'KERNEL_NOT_RUNNING', message }

    test('are refused, from the notes and from memory', async () => {
      const { guest, kernel } = syntheticGuest()
      const notes = concat(kernel.note, vcpuNote(5))
      await expect(openLinuxGuest(guest, { elfNotes: notes })).rejects.toMatchObject(refusal)
      await expect(openLinuxGuest(guest, { elfNotes: vcpuNote(5) })).rejects.toMatchObject(refusal)
      await expect(
        openLinuxGuest(guest, { vmcoreinfo: kernel.vmcoreinfo, elfNotes: vcpuNote(5) }),
      ).rejects.toMatchObject(refusal)
    })

    test('are refused when no vCPU pages', async () => {
      const { guest, kernel } = syntheticGuest()
      const notes = concat(kernel.note, vcpuNote(0))
      await expect(openLinuxGuest(guest, { elfNotes: notes })).rejects.toMatchObject(refusal)
    })

    test('are refused without notes of vCPUs only where those are expected', async () => {
      const { guest, kernel } = syntheticGuest()
      await expect(openLinuxGuest(guest, { elfNotes: kernel.note })).resolves.toMatchObject({ warnings: [] })
      await expect(openLinuxGuest(guest, { elfNotes: kernel.note, expectVcpus: true })).rejects.toMatchObject(refusal)
      await expect(openLinuxGuest(guest, { expectVcpus: true })).rejects.toMatchObject({ code: 'KERNEL_NOT_RUNNING' })
      const notes = concat(kernel.note, vcpuNote(kernel.rootPfn))
      await expect(openLinuxGuest(guest, { elfNotes: notes, expectVcpus: true })).resolves.toMatchObject({
        warnings: [],
      })
    })
  })

  test('without any there is an error that says so', async () => {
    await expect(openLinuxGuest(new SyntheticGuest())).rejects.toMatchObject({ code: 'NO_VMCOREINFO' })
  })

  test('pages that a process filled do not hide the real one', async () => {
    const guest = new SyntheticGuest([{ start: 0, count: 4 * SECTION }])
    const kernel = new SyntheticKernel(guest, { at: 2 * SECTION })
    const encoder = new TextEncoder()
    // A guess at all lines, with addresses that a process is not told.
    const guess = kernel.vmcoreinfo.replace(/^SYMBOL\(_stext\)=.*$/m, 'SYMBOL(_stext)=ffffffff80200000')
    const copy = encoder.encode(kernel.vmcoreinfo)
    for (let pfn = 0; pfn < 50_000; pfn++) {
      if (pfn % 5 === 0) guest.frame(pfn).set(encoder.encode(`${guess}CRASHTIME=${pfn}\n`))
      else if (pfn % 5 === 1) guest.frame(pfn).set(encoder.encode(guess))
      else guest.frame(pfn).set(encoder.encode(`OSRELEASE=${pfn}\n`))
    }
    expect(kernel.vmcoreinfoPfn).toBeGreaterThan(50_000)
    await expect(openLinuxGuest(guest)).resolves.toMatchObject({ warnings: [], vmcoreinfoFrom: 'scan' })
    guest.frame(kernel.vmcoreinfoPfn).fill(0)
    await expect(openLinuxGuest(guest)).rejects.toMatchObject({
      code: 'NO_VALID_VMCOREINFO',
      message: expect.stringMatching(/^expected .{1,4000}; and 39993 more$/),
    })
    // Copies of the real one are that kernel's all the same.
    for (let pfn = 0; pfn < 1000; pfn++) guest.frame(pfn).fill(0)
    for (let pfn = 0; pfn < 1000; pfn++) guest.frame(pfn).set(copy)
    await expect(openLinuxGuest(guest)).resolves.toMatchObject({ warnings: [], kernel: '6.12.0-synthetic' })
  })

  test('a memory full of texts that know where the kernel is ends the search with a warning', async () => {
    const { guest, kernel } = syntheticGuest()
    const forged = kernel.vmcoreinfo.replace(/^LENGTH\(mem_section\)=.*$/m, 'LENGTH(mem_section)=7')
    for (let pfn = 1; pfn < 4096; pfn++) {
      guest.frame(pfn).set(new TextEncoder().encode(`${forged}CRASHTIME=${pfn}\n`))
    }
    await expect(openLinuxGuest(guest)).resolves.toMatchObject({ warnings: [] })
    guest.frame(5000).set(new TextEncoder().encode(forged))
    await expect(openLinuxGuest(guest)).rejects.toMatchObject({ message: expect.stringContaining('found 4096 that') })
    await expect(openLinuxGuest(guest, { elfNotes: kernel.note })).resolves.toMatchObject({ vmcoreinfoFrom: 'note' })
  })

  test('broken notes do not hide the page in memory', async () => {
    const { guest, kernel } = syntheticGuest()
    const linux = await openLinuxGuest(guest, { elfNotes: kernel.note.subarray(0, 400) })
    expect(linux.vmcoreinfoFrom).toBe('scan')
    expect(linux.warnings[0]).toMatchObject({ code: 'VMCOREINFO_REFUSED' })
  })

  test('an aborted search throws the reason', async () => {
    const { guest } = syntheticGuest()
    await expect(openLinuxGuest(guest, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop')
  })

  test('a kernel of another architecture is not taken for one of the guest’s', async () => {
    const { guest, kernel } = syntheticGuest()
    const view = { ...bound(guest), machine: 'aarch64' as const }
    await expect(openLinuxGuest(view, { elfNotes: kernel.note })).rejects.toMatchObject({
      code: 'NO_VALID_VMCOREINFO',
      message: expect.stringContaining('NUMBER(kimage_voffset)'),
    })
  })
})

function bound(guest: SyntheticGuest): Pick<SyntheticGuest, 'frameBytes' | 'extents' | 'tryRead' | 'toPfn'> {
  return {
    frameBytes: guest.frameBytes,
    extents: guest.extents,
    tryRead: (range, into) => guest.tryRead(range, into),
    toPfn: (gfn) => guest.toPfn(gfn),
  }
}
