import { LabError } from './lab-error.ts'
import type { Arm64EraName, EraName } from './guest-options.ts'
import { ERA_NAMES } from './guest-options.ts'
import { readLabManifest } from './lab-manifest.ts'

/** A guest kernel that set-up has unpacked. */
export interface Era {
  readonly name: EraName | Arm64EraName
  readonly machine: 'x86_64' | 'aarch64'
  /** The kernel's release, such as `uname -r` prints it. For messages: nothing may depend on it. */
  readonly release: string
  readonly vmlinuz: string
  /** Decompressed modules in the order they are to be loaded. */
  readonly modules: readonly string[]
  /** A static busybox of the guest's architecture; this machine's own when there is none. */
  readonly busybox?: string
  /** The kernel with debug symbols; only after `npm run setup -- --long`, and not for every era. */
  readonly vmlinux?: string
}

/** The eras that set-up could get, oldest first. */
export function eras(): Era[] {
  const manifest = readLabManifest()
  return ERA_NAMES.flatMap((name) => {
    const entry = manifest.eras[name]
    return entry === undefined || 'missing' in entry ? [] : [{ name, machine: 'x86_64' as const, ...entry }]
  })
}

/** The era of this name; throws with the reason set-up recorded when it could not be had. */
export function requireEra(name: EraName | Arm64EraName): Era {
  const entry = readLabManifest().eras[name]
  if (entry === undefined) {
    throw new LabError(`no kernel of era ${name}: set-up has not tried to get it; run npm run setup`)
  }
  if ('missing' in entry) {
    throw new LabError(`no kernel of era ${name}: ${entry.missing}; run npm run setup to try again`)
  }
  return { name, machine: name.includes('-arm64') ? 'aarch64' : 'x86_64', ...entry }
}

/** The debug kernel of this era; throws when set-up has not got it. */
export function requireVmlinux(name: EraName | Arm64EraName): string {
  const { vmlinux } = requireEra(name)
  if (vmlinux === undefined) {
    throw new LabError(`no vmlinux with debug symbols of era ${name}: run npm run setup -- --long`)
  }
  return vmlinux
}
