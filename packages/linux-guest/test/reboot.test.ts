import { bootGuest, openStoppedMemory } from '@ullage/lab'
import { expect, test } from 'vitest'
import { openLinuxGuest } from '../src/index.ts'

test('the kernel of a guest that was reset is not taken for one that runs', async () => {
  await using guest = await bootGuest({ era: 'bookworm', memMiB: 192 })
  await guest.stop()
  using running = await openStoppedMemory(guest)
  const linux = await openLinuxGuest(running.view, { elfNotes: running.elfNotes, expectVcpus: true })
  expect(linux).toMatchObject({ warnings: [], vmcoreinfoFrom: 'note' })

  // The vCPU is at the reset vector then, and memory is as it was.
  await guest.qmp('set-action', { reboot: 'reset' })
  await guest.qmp('system_reset')
  using reset = await openStoppedMemory(guest)
  const refusal = { code: 'KERNEL_NOT_RUNNING' }
  await expect(openLinuxGuest(reset.view, { elfNotes: reset.elfNotes, expectVcpus: true })).rejects.toMatchObject(
    refusal,
  )
  // Asked without its vCPUs, memory alone still names the kernel that ran.
  await expect(openLinuxGuest(reset.view)).resolves.toMatchObject({ kernel: linux.kernel, vmcoreinfoFrom: 'scan' })
  // With the notes that were there before, nothing tells them apart but page tables.
  await expect(
    openLinuxGuest(reset.view, { elfNotes: reset.elfNotes, vmcoreinfo: linux.vmcoreinfo.text, expectVcpus: true }),
  ).rejects.toMatchObject(refusal)
})
