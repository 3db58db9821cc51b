import { LabError } from '../lab-error.ts'
import { type LabManifest, readLabManifest } from '../lab-manifest.ts'

/** What set-up unpacked of Xen and of the kernel of its first domain; paths, all but the version. */
export type XenPackages = Exclude<NonNullable<LabManifest['xen']>, { missing: string }>

/** Throws with what to do when set-up has not got them. */
export function requireXenPackages(): XenPackages {
  const { xen } = readLabManifest()
  if (xen === undefined) throw new LabError('no Xen host: set-up has not tried to get it; run npm run setup -- --labs')
  if ('missing' in xen) throw new LabError(`no Xen host: ${xen.missing}; run npm run setup -- --labs to try again`)
  return xen
}
