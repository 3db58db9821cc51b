import { type GuestIdentity, OfflineError } from '@ullage/offline-query'
import type { NotesElf } from '@ullage/qemu'

/** e_machine, elf(5). An x86-64 guest whose first CPU is not in long mode gets notes of an i386 from QEMU. */
const EM_386 = 3
const EM_X86_64 = 62
const EM_AARCH64 = 183

/** The machine that notes are of; x86_64 without notes. Throws UNSUPPORTED for another. */
export function machineOf(notes: NotesElf | undefined): GuestIdentity['machine'] {
  const machine = notes?.machine ?? EM_X86_64
  if (machine === EM_X86_64 || machine === EM_386) return 'x86_64'
  if (machine === EM_AARCH64) return 'aarch64'
  throw unsupported(`the elf machine ${machine}`)
}

/** The machine that `query-target` names. Throws UNSUPPORTED for another. */
export function machineOfTarget(arch: string): GuestIdentity['machine'] {
  if (arch === 'x86_64' || arch === 'aarch64') return arch
  throw unsupported(`a qemu for ${arch}`)
}

function unsupported(found: string): OfflineError {
  return new OfflineError('UNSUPPORTED', `expected a guest of x86_64 or aarch64, found ${found}`)
}
