import { encodeElfNote } from '@ullage/layout'
import { expect, test } from 'vitest'
import { syntheticGuest } from '../test/synthetic-guest.ts'
import { openLinuxGuest } from './linux-guest.ts'
import { GuestFrames } from './guest-frames.ts'
import { scanVmcoreinfo, textOf } from './scan-vmcoreinfo.ts'
import { VMCOREINFO_MAX_BYTES } from './vmcoreinfo.ts'

test('text ends at the first NUL, and where it is longer than any', () => {
  expect(textOf(new TextEncoder().encode('OSRELEASE=6.1\n\0PAGESIZE=4096\n'))).toBe('OSRELEASE=6.1\n')
  const most = new Uint8Array(VMCOREINFO_MAX_BYTES).fill(65)
  expect(textOf(most)).toHaveLength(VMCOREINFO_MAX_BYTES)
  // More characters than a string can have.
  expect(textOf(new Uint8Array(2 ** 30).fill(65, 0, 100_000))).toHaveLength(VMCOREINFO_MAX_BYTES + 1)
})

test('a note of many megabytes is refused, and the kernel found in memory', async () => {
  const { guest, kernel } = syntheticGuest()
  const huge = new Uint8Array(64 * 2 ** 20).fill(65)
  huge.set(new TextEncoder().encode(kernel.vmcoreinfo))
  const linux = await openLinuxGuest(guest, { elfNotes: encodeElfNote('VMCOREINFO', 0, huge) })
  expect(linux.vmcoreinfoFrom).toBe('scan')
  expect(linux.warnings).toMatchObject([
    { code: 'VMCOREINFO_REFUSED', text: expect.stringContaining('longer than any') },
  ])
})

test('memory that nobody can read is not tried frame by frame where it is told, and nothing is missed', async () => {
  const pages = [0, 300, 2 ** 27 + 5, 2 ** 28 - 1]
  let tried = 0
  const frames = new GuestFrames({
    frameBytes: 4096,
    machine: 'x86_64',
    extents: [{ start: 0, count: 2 ** 28 }],
    toPfn: (gfn) => gfn,
    tryRead: ({ start, count }, into) => {
      tried++
      if (count > 1 || !pages.includes(start)) return false
      into.fill(0).set(new TextEncoder().encode(`OSRELEASE=${start}\n`))
      return true
    },
    nextReadable: (pfn, limit) => pages.find((page) => page >= pfn && page < limit) ?? limit,
  })
  const found: string[] = []
  for await (const { pfn, text } of scanVmcoreinfo(frames)) found.push(`${pfn} ${text.trim()}`)
  expect(found).toEqual(pages.map((pfn) => `${pfn} OSRELEASE=${pfn}`))
  // Two tries at most for each frame of a piece, and one piece a page.
  expect(tried).toBeLessThan(pages.length * 512)
})
