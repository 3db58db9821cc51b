import type { AbandonedGuest } from '@ullage/qemu'

/** Resumes every live guest that a process which is no longer there has left paused; see `@ullage/qemu`. */
export async function resumeAbandoned(stateDir: string): Promise<AbandonedGuest[]> {
  // Only where it is needed, as in `openVirtioBalloon`.
  const qemu = await import('@ullage/qemu')
  return qemu.resumeAbandoned(stateDir)
}
