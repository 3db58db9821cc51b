import { readdirSync, readlinkSync } from 'node:fs'
import type { GuestFiles } from './qemu-arguments.ts'
import type { MemoryKind } from './guest-options.ts'
import { LabError } from './lab-error.ts'

/** The files that hold a guest's RAM, boot RAM first; paths in /proc where they have no name. */
export function ramFiles(kind: MemoryKind, pid: number, files: GuestFiles, count: number): string[] {
  if (kind === 'file') return [files.ram, files.virtioMem].slice(0, count)
  if (kind === 'file-private' || kind === 'anonymous') return []
  const named = kind === 'unlinked' ? /qemu_back_mem\.(.+)\.\w+ \(deleted\)$/ : /^\/memfd:.*\(deleted\)$/
  const folder = `/proc/${pid}/fd`
  // QEMU opens the backends in the order of its command line, which is ours.
  const found = readdirSync(folder)
    .map(Number)
    .sort((a, b) => a - b)
    .filter((fd) => named.test(linkTarget(`${folder}/${fd}`)))
  if (found.length !== count) {
    throw new LabError(`expected ${count} nameless RAM files among the descriptors of QEMU, found ${found.length}`)
  }
  return found.map((fd) => `${folder}/${fd}`)
}

/** Where a descriptor points; empty when it was closed meanwhile. */
function linkTarget(path: string): string {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
