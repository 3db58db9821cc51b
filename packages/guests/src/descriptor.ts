import type { OpenGuest } from '@ullage/offline-query'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import type { OpenOptions } from './backend.ts'
import { backends } from './backends.ts'
import { DescriptorError } from './descriptor-error.ts'

/** A descriptor larger than this is none. */
const MAX_BYTES = 1 << 20

/** A guest as a JSON file describes it, checked. */
export interface GuestDescriptor {
  /** Absolute path of the descriptor. */
  readonly path: string
  readonly backend: string
  readonly open: (options: OpenOptions) => Promise<OpenGuest>
}

const outer = z.strictObject({ backend: z.string(), source: z.unknown() })

/** Reads and checks a descriptor. Opens nothing it names. Throws DescriptorError. */
export async function loadDescriptor(path: string): Promise<GuestDescriptor> {
  const absolute = resolve(path)
  const json = parseJson(await readText(absolute), absolute)
  const { backend, source } = check(absolute, () => outer.parse(json))
  const known = Object.hasOwn(backends, backend) ? backends[backend] : undefined
  if (!known) {
    throw new DescriptorError(
      `${absolute}: expected "backend" to be one of ${Object.keys(backends).join(', ')}, found ${JSON.stringify(backend)}`,
    )
  }
  const open = check(absolute, () => known.parse(source), 'source')
  return { path: absolute, backend, open: (options) => open({ ...options, baseDir: dirname(absolute) }) }
}

/** Opens the guest. Throws what its backend throws. */
export function openGuest(descriptor: GuestDescriptor, options: OpenOptions): Promise<OpenGuest> {
  return descriptor.open(options)
}

async function readText(path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8')
    if (text.length > MAX_BYTES) throw new DescriptorError(`${path}: a guest descriptor has at most ${MAX_BYTES} bytes`)
    return text
  } catch (error) {
    if (error instanceof DescriptorError) throw error
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const found = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : String(error)
    throw new DescriptorError(`expected a guest descriptor (a JSON file) at ${path}: ${found}`, { cause: error })
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new DescriptorError(`${path}: expected JSON: ${reason}`, { cause: error })
  }
}

function check<T>(path: string, parse: () => T, prefix?: string): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error
    const issues = error.issues.map((issue) => {
      const where = [...(prefix ? [prefix] : []), ...issue.path].join('.')
      return `${where === '' ? 'descriptor' : where}: ${issue.message}`
    })
    throw new DescriptorError(`${path}: ${issues.join('; ')}`, { cause: error })
  }
}
