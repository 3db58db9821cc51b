import { encodeElfNote } from '@ullage/layout'
import { expect, test } from 'vitest'
import { syntheticGuest } from '../test/synthetic-guest.ts'
import { openLinuxGuest } from './linux-guest.ts'
import { textOf } from './scan-vmcoreinfo.ts'
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
