import { encodeElfNote } from '@ullage/layout'
import { describe, expect, test } from 'vitest'
import { SyntheticGuest, SyntheticKernel, syntheticGuest } from '../test/synthetic-guest.ts'
import { vcpuNote } from '../test/vcpu-note.ts'
import { openLinuxGuest } from './linux-guest.ts'

const FRAME_BYTES = 4096
const DIRECT_MAP = { 4: 0xffff_8880_0000_0000n, 5: 0xff11_0000_0000_0000n } as const
/** A frame of the image behind its text and tables. */
const BSS = 300

/** Has the kernel point to `pfn` by its direct map. */
function point(kernel: SyntheticKernel, pfn: number, levels: 4 | 5 = 4, at = BSS): void {
  const virtual = DIRECT_MAP[levels] + BigInt(pfn * FRAME_BYTES)
  kernel.map(virtual, pfn, 12)
  kernel.guest.writeU64((kernel.textPfn + at) * FRAME_BYTES + 0x40, virtual)
}

describe('VMCOREINFO that the image of a running kernel points to', () => {
  test('is found without a search of memory', async () => {
    const { guest, kernel } = syntheticGuest()
    point(kernel, kernel.vmcoreinfoPfn)
    const linux = await openLinuxGuest(guest, { elfNotes: vcpuNote(kernel.rootPfn), search: false })
    expect(linux).toMatchObject({ vmcoreinfoFrom: 'scan', kernel: '6.12.0-synthetic', warnings: [] })
    expect(linux.protectedFrames().some(({ start, count }) => start <= 11_000 && 11_000 < start + count)).toBe(true)
    // The image of 2 MiB, tables and struct pages of the frames in question.
    expect(guest.framesRead).toBeLessThan(2000)
  })

  test('is found through five levels, and from the second table of a process', async () => {
    const { guest, kernel } = syntheticGuest({ fiveLevel: true })
    point(kernel, kernel.vmcoreinfoPfn, 5)
    const five = { elfNotes: vcpuNote(kernel.rootPfn, 1n << 12n), search: false }
    await expect(openLinuxGuest(guest, five)).resolves.toMatchObject({ vmcoreinfoFrom: 'scan' })
    const four = { elfNotes: vcpuNote(kernel.rootPfn), search: false }
    await expect(openLinuxGuest(guest, four)).rejects.toMatchObject({ code: 'NO_VMCOREINFO' })

    const other = syntheticGuest()
    point(other.kernel, other.kernel.vmcoreinfoPfn)
    const second = { elfNotes: vcpuNote(other.kernel.rootPfn + 1), search: false }
    await expect(openLinuxGuest(other.guest, second)).resolves.toMatchObject({ vmcoreinfoFrom: 'scan' })
  })

  test('is not believed because something points to it', async () => {
    const { guest, kernel } = syntheticGuest()
    point(kernel, 11_500)
    guest.write(11_500 * FRAME_BYTES, new TextEncoder().encode('OSRELEASE=6.12.0-synthetic\n'))
    await expect(openLinuxGuest(guest, { elfNotes: vcpuNote(kernel.rootPfn), search: false })).rejects.toMatchObject({
      code: 'NO_VALID_VMCOREINFO',
      message: expect.stringContaining('which the kernel image points to'),
    })
    // Searched for, the real one is found.
    await expect(openLinuxGuest(guest, { elfNotes: vcpuNote(kernel.rootPfn) })).resolves.toMatchObject({
      kernel: '6.12.0-synthetic',
    })
  })

  test('is found where the note is another kernel’s, with a warning', async () => {
    const { guest, kernel } = syntheticGuest()
    point(kernel, kernel.vmcoreinfoPfn)
    const strange = encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode('OSRELEASE=5.0.0-other\n'))
    const elfNotes = Buffer.concat([strange, vcpuNote(kernel.rootPfn)])
    await expect(openLinuxGuest(guest, { elfNotes, search: false })).resolves.toMatchObject({
      kernel: '6.12.0-synthetic',
      warnings: [{ code: 'VMCOREINFO_REFUSED' }],
    })
  })

  test('is looked for behind frames that cannot be read', async () => {
    const { guest, kernel } = syntheticGuest()
    point(kernel, kernel.vmcoreinfoPfn)
    point(kernel, 11_500, 4, BSS + 1)
    for (const pfn of [11_500, kernel.textPfn + BSS + 2, kernel.textPfn + BSS - 1]) guest.unbacked.add(pfn)
    await expect(openLinuxGuest(guest, { elfNotes: vcpuNote(kernel.rootPfn), search: false })).resolves.toMatchObject({
      vmcoreinfoFrom: 'scan',
    })
    guest.unbacked.add(kernel.textPfn + BSS)
    await expect(openLinuxGuest(guest, { elfNotes: vcpuNote(kernel.rootPfn), search: false })).rejects.toMatchObject({
      code: 'NO_VMCOREINFO',
    })
  })

  test('is protected where it stood a moment ago, if it still stands there', async () => {
    const { guest, kernel } = syntheticGuest()
    const placeOf = async (likelyVmcoreinfoPfn?: number) => {
      const before = guest.framesRead
      const linux = await openLinuxGuest(guest, { vmcoreinfo: kernel.vmcoreinfo, likelyVmcoreinfoPfn })
      return { pfn: linux.vmcoreinfoPfn, frames: guest.framesRead - before }
    }
    const { vmcoreinfoPfn } = kernel
    const none = await placeOf()
    expect(none.pfn).toBeUndefined()
    const likely = await placeOf(vmcoreinfoPfn)
    expect(likely.pfn).toBe(vmcoreinfoPfn)
    expect(likely.frames).toBeLessThan(none.frames / 2)
    guest.write(11_500 * FRAME_BYTES, new TextEncoder().encode('OSRELEASE=6.12.0-synthetic\n'))
    for (const other of [11_500, 11_501, 2 ** 40]) expect((await placeOf(other)).pfn).toBeUndefined()
    point(kernel, vmcoreinfoPfn)
    expect((await placeOf(11_500)).pfn).toBe(vmcoreinfoPfn)
  })

  test('is asked of no memory where no vCPU tells its tables', async () => {
    const guest = new SyntheticGuest()
    const kernel = new SyntheticKernel(guest)
    point(kernel, kernel.vmcoreinfoPfn)
    await expect(openLinuxGuest(guest, { search: false })).rejects.toMatchObject({ code: 'NO_VMCOREINFO' })
    expect(guest.framesRead).toBe(0)
  })

  test('is looked for in bounded time in an image full of pointers', async () => {
    const { guest, kernel } = syntheticGuest()
    // Every entry of the second gigabyte's table maps 2 MiB of guest RAM into the image, each word of it a pointer.
    const image = 0xffff_ffff_8000_0000n
    for (let i = 0; i < 512; i++) kernel.map(image + BigInt(i * 2 ** 21), (i % 8) * 512, 21)
    const words = new BigUint64Array(512)
    for (let pfn = 0; pfn < 4096; pfn++) {
      words.forEach((_, i) => {
        words[i] = DIRECT_MAP[4] + BigInt(((pfn * 512 + i) % 2 ** 22) * FRAME_BYTES)
      })
      if (pfn < 4000) guest.frame(pfn).set(new Uint8Array(words.buffer))
    }
    const started = performance.now()
    await expect(openLinuxGuest(guest, { elfNotes: vcpuNote(kernel.rootPfn), search: false })).rejects.toMatchObject({
      code: expect.stringMatching(/VMCOREINFO|NOT_RUNNING/),
    })
    expect(performance.now() - started).toBeLessThan(20_000)
  })
})
