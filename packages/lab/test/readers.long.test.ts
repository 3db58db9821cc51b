import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bootGuest, crashPrints, dumpByQemu, LabError, makedumpfile, requireVmlinux } from '@ullage/lab'

test.each(['bookworm', 'trixie'] as const)('the newest readers open a dump of %s that QEMU wrote', async (era) => {
  await using guest = await bootGuest({ era, balloonMiB: 64 })
  await guest.stop()
  const elf = join(guest.folder, 'qemu.elf')
  await dumpByQemu(guest, elf)
  const dump = join(guest.folder, 'makedumpfile.vmcore')
  expect(await makedumpfile(['-z', '-d', '31', elf, dump])).toMatchObject({ status: 0 })
  const printed = await crashPrints(requireVmlinux(era), dump, ['sys', 'kmem -i', 'ps', 'bt -a', 'mod', 'log'])
  expect(printed).toContain(guest.era.release)
  expect(printed).toMatch(/crash> kmem -i\n[\s\S]*TOTAL MEM/)
  expect(printed).toMatch(/crash> ps\n[\s\S]*swapper\/0/)
  expect(printed).toMatch(/crash> mod\n[\s\S]*virtio_balloon/)
  await expect(crashPrints(requireVmlinux(era), '/dev/null', ['sys'])).rejects.toThrow(LabError)
})
