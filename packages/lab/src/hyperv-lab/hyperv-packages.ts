import { LabError } from '../lab-error.ts'
import { type LabManifest, readLabManifest } from '../lab-manifest.ts'

/** What set-up unpacked of a QEMU with hv-balloon, the kernel under it and that of its guest; paths, all but versions. */
export type HypervPackages = Exclude<NonNullable<LabManifest['hyperv']>, { missing: string }>

/** Throws with what to do when set-up has not got them. */
export function requireHypervPackages(): HypervPackages {
  const { hyperv } = readLabManifest()
  const todo = 'run npm run setup -- --labs'
  if (hyperv === undefined) throw new LabError(`no QEMU with hv-balloon: set-up has not tried to get it; ${todo}`)
  if ('missing' in hyperv) throw new LabError(`no QEMU with hv-balloon: ${hyperv.missing}; ${todo} to try again`)
  return hyperv
}
