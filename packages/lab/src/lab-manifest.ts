import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { cacheFolder } from './cache-folder.ts'
import { LabError } from './lab-error.ts'

const Missing = z.object({ missing: z.string() })
const EraEntry = z.object({
  release: z.string(),
  vmlinuz: z.string(),
  modules: z.array(z.string()),
  busybox: z.string().exactOptional(),
  vmlinux: z.string().exactOptional(),
})
const Reader = z.union([Missing, z.object({ version: z.string(), argv: z.array(z.string()).min(1) })])
const XenHost = z.union([
  Missing,
  z.object({
    version: z.string(),
    xen: z.string(),
    vmlinuz: z.string(),
    modules: z.array(z.string()),
    loader: z.string(),
    libraries: z.array(z.string()),
    programs: z.array(z.string()),
  }),
])
const HypervHost = z.union([
  Missing,
  z.object({
    version: z.string(),
    root: z.string(),
    vmlinuz: z.string(),
    modules: z.array(z.string()),
    guest: z.object({ release: z.string(), vmlinuz: z.string(), modules: z.array(z.string()) }),
  }),
])

const LabManifest = z.object({
  format: z.literal(1),
  eras: z.record(z.string(), z.union([Missing, EraEntry])),
  readers: z.record(z.string(), Reader),
  xen: XenHost.exactOptional(),
  hyperv: HypervHost.exactOptional(),
})

export type LabManifest = z.infer<typeof LabManifest>

/** What `npm run setup` found and unpacked. Throws when it has not run here. */
export function readLabManifest(): LabManifest {
  const path = join(cacheFolder(), 'manifest.json')
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new LabError(`no lab found: ${path} cannot be read; run npm run setup`, { cause })
  }
  const parsed = LabManifest.safeParse(JSON.parse(text))
  if (!parsed.success) {
    throw new LabError(`${path} is not what this version of the lab writes: run npm run setup -- --refresh`, {
      cause: parsed.error,
    })
  }
  return parsed.data
}
