import { closeSync, fstatSync, readdirSync, statSync } from 'node:fs'
import { openRegularFile } from './file-part.ts'
import { HostMemoryError } from './host-memory-error.ts'
import type { HostProcess } from './host-process.ts'
import type { MappedFile, Vma } from './process-map.ts'

/**
 * Opens the file behind `area` for reading: by its path when device and inode agree (in the file system as the process sees
 * it, then as we do), else through one of the process's own descriptors of the same file, else through
 * /proc/PID/map_files. Returns the descriptor, which the caller closes. Throws HostMemoryError, with every way tried.
 */
export function openMapped(process: HostProcess, area: Vma): number {
  const file = area.file
  if (!file)
    throw new HostMemoryError('INVALID', `${describeArea(process, area)} is anonymous: there is no file behind it`)
  const tried: string[] = []
  const paths = file.deleted ? [] : [`${process.folder}/root${file.path}`, file.path]
  for (const path of paths) {
    const fd = tryOpen(path, file, file.path, tried)
    if (fd !== undefined) return fd
  }
  for (const path of descriptorsOf(process, file, tried)) {
    const fd = tryOpen(path, file, `descriptor ${path.slice(path.lastIndexOf('/') + 1)}`, tried)
    if (fd !== undefined) return fd
  }
  // The link leads to the very file of that area, so there is no identity to compare; areas may have been joined.
  const own = process.areas().find((each) => each.startBytes <= area.startBytes && area.startBytes < each.endBytes)
  const range = own && `${own.startBytes.toString(16)}-${own.endBytes.toString(16)}`
  const fd =
    range === undefined ? undefined : tryOpen(`${process.folder}/map_files/${range}`, undefined, 'map_files', tried)
  if (fd !== undefined) return fd
  const denied = tried.some((text) => text.includes('EACCES') || text.includes('EPERM'))
  throw new HostMemoryError(
    denied ? 'DENIED' : 'NOT_FOUND',
    `cannot open the file behind ${describeArea(process, area)}: ${tried.join('; ')}`,
  )
}

/** For messages: which bytes of which process, and what they show. */
export function describeArea(process: HostProcess, area: Vma): string {
  const range = `0x${area.startBytes.toString(16)}-0x${area.endBytes.toString(16)}`
  return `${range} of ${process.about}${area.label === '' ? '' : ` (${area.label})`}`
}

/** The descriptor, or undefined with the reason added to `tried`. */
function tryOpen(path: string, file: MappedFile | undefined, name: string, tried: string[]): number | undefined {
  let fd: number
  try {
    fd = openRegularFile(path)
  } catch (error) {
    if (!(error instanceof HostMemoryError)) throw error
    tried.push(`${name}: ${error.cause instanceof Error ? error.cause.message : error.message}`)
    return undefined
  }
  if (file === undefined || isSame(fstatSync(fd, { bigint: true }), file)) return fd
  closeSync(fd)
  tried.push(`${name}: another file than the one mapped (inode ${file.inode})`)
  return undefined
}

function descriptorsOf(process: HostProcess, file: MappedFile, tried: string[]): string[] {
  const folder = `${process.folder}/fd`
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    tried.push(`descriptors: ${error instanceof Error ? error.message : error}`)
    return []
  }
  const same = names.map((name) => `${folder}/${name}`).filter((path) => isSameAt(path, file))
  if (same.length === 0) tried.push('descriptors: none of them is that file')
  return same
}

function isSameAt(path: string, file: MappedFile): boolean {
  // A descriptor may be closed between the listing and now; then it is not the one.
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat !== undefined && isSame(stat, file)
}

/** Compares with the numbers in /proc/PID/maps; st_dev is encoded as in glibc's gnu_dev_makedev. */
function isSame(stat: { dev: bigint; ino: bigint }, file: MappedFile): boolean {
  const major = ((stat.dev >> 8n) & 0xfffn) | ((stat.dev >> 32n) & ~0xfffn)
  const minor = (stat.dev & 0xffn) | ((stat.dev >> 12n) & 0xffff_ff00n)
  return stat.ino === file.inode && major === BigInt(file.major) && minor === BigInt(file.minor)
}
