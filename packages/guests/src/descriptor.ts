import type { OpenGuest } from '@ullage/offline-query'
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as z from 'zod/mini'
import type { OpenOptions } from './backend.ts'
import { backends } from './backends.ts'
import { DescriptorError } from './descriptor-error.ts'
import { parseChecked } from './parse-checked.ts'

/** A descriptor larger than this is none. */
const MAX_BYTES = 1 << 20

/** A guest as a JSON file describes it, checked. */
export interface GuestDescriptor {
  /** Absolute path of the descriptor. */
  readonly path: string
  readonly backend: string
  /** To whom the guest belongs; absent for nobody in particular. */
  readonly tenant?: string
  readonly open: (options: OpenOptions) => Promise<OpenGuest>
}

/** The rule of guest ids: a tenant's name stands in addresses, tokens and file names. */
const tenant = z
  .string()
  .check(
    z.regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
      'expected the id of a tenant: 1 to 63 letters, digits, ".", "_" or "-", the first a letter or a digit',
    ),
  )

const outer = z.strictObject({
  backend: z.string(),
  tenant: z.optional(tenant),
  source: z.record(z.string(), z.unknown(), { error: 'expected an object that says where the guest is' }),
})

/** Reads and checks a descriptor. Opens nothing it names. Throws DescriptorError. */
export async function loadDescriptor(path: string): Promise<GuestDescriptor> {
  const absolute = resolve(path)
  const json = parseJson(readText(absolute), absolute)
  const { backend, tenant, source } = parseChecked(outer, json, { path: absolute })
  const load = Object.hasOwn(backends, backend) ? backends[backend] : undefined
  if (!load) {
    throw new DescriptorError(
      `${absolute}: expected "backend" to be one of ${Object.keys(backends).join(', ')}, found ${JSON.stringify(backend)}`,
    )
  }
  const open = (await load()).parse(source, { path: absolute, key: 'source' })
  return {
    path: absolute,
    backend,
    ...(tenant !== undefined && { tenant }),
    open: (options) => open({ ...options, baseDir: dirname(absolute) }),
  }
}

/** Opens the guest. Throws what its backend throws. */
export function openGuest(descriptor: GuestDescriptor, options: OpenOptions): Promise<OpenGuest> {
  return descriptor.open(options)
}

function readText(path: string): string {
  const refuse = (found: string, cause?: unknown) =>
    new DescriptorError(`expected a guest descriptor (a JSON file) at ${path}: ${found}`, { cause })
  let file: number
  try {
    // Without O_NONBLOCK opening a FIFO waits for a writer, for ever.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw refuse(missing ? 'there is no such file' : String(error), error)
  }
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) throw refuse(stat.isDirectory() ? 'it is a folder' : 'it is no regular file')
    if (stat.size > MAX_BYTES) throw refuse(`it has ${stat.size} bytes, a descriptor has at most ${MAX_BYTES}`)
    const buffer = Buffer.allocUnsafe(MAX_BYTES + 1)
    const bytesRead = readSync(file, buffer, 0, buffer.length, 0)
    if (bytesRead > MAX_BYTES) throw refuse(`it has more than ${MAX_BYTES} bytes`)
    return buffer.toString('utf8', 0, bytesRead)
  } catch (error) {
    throw error instanceof DescriptorError ? error : refuse(String(error), error)
  } finally {
    closeSync(file)
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
