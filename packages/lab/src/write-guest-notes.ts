import { chmod } from 'node:fs/promises'
import type { LabGuest } from './lab-guest.ts'

/**
 * Has QEMU write an ELF file with the guest's notes (those of the vCPUs, then VMCOREINFO where the guest handed it over)
 * and the one frame at `beginBytes`, which the host must back: QEMU reads no other, so no hole of the RAM is filled.
 */
export async function writeGuestNotes(guest: LabGuest, path: string, beginBytes: number): Promise<void> {
  await guest.qmp('dump-guest-memory', { paging: false, protocol: `file:${path}`, begin: beginBytes, length: 4096 })
  await chmod(path, 0o600)
}
