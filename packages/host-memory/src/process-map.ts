import { HostMemoryError } from './host-memory-error.ts'

/** One line of /proc/PID/maps: a virtual memory area of a process. Addresses, sizes and offsets in bytes. */
export interface Vma {
  readonly startBytes: number
  readonly endBytes: number
  readonly readable: boolean
  readonly writable: boolean
  readonly shared: boolean
  /** The mapped file, also when it was deleted; undefined for anonymous memory. */
  readonly file: MappedFile | undefined
  /** What the kernel calls it: a path, `[heap]`, or nothing. */
  readonly label: string
}

export interface MappedFile {
  readonly major: number
  readonly minor: number
  readonly inode: bigint
  /** Where in the file the area starts. */
  readonly offsetBytes: number
  /** As the process saw it; `/memfd:name` for a memfd, `/dev/zero` for anonymous shared memory. */
  readonly path: string
  readonly deleted: boolean
}

const line = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])[x-]([sp]) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)$/

/**
 * The areas in the text of /proc/PID/maps (Linux fs/proc/task_mmu.c, show_map_vma), ascending. Throws Error for a line
 * that is not of that form. `[vsyscall]`, beyond 2^53, is left out: it is not memory of the process.
 */
export function parseProcessMap(text: string): Vma[] {
  const areas: Vma[] = []
  for (const row of text.split('\n')) {
    if (row === '') continue
    const match = line.exec(row)
    if (!match) throw new Error(`not a line of /proc/PID/maps: ${row.slice(0, 200)}`)
    const [, start = '', end = '', read, write, share, offset = '', major = '', minor = '', inode = '', label = ''] =
      match
    const endBytes = Number.parseInt(end, 16)
    if (!Number.isSafeInteger(endBytes)) continue
    const deleted = label.endsWith(' (deleted)')
    areas.push({
      startBytes: Number.parseInt(start, 16),
      endBytes,
      readable: read === 'r',
      writable: write === 'w',
      shared: share === 's',
      label,
      file:
        inode === '0'
          ? undefined
          : {
              major: Number.parseInt(major, 16),
              minor: Number.parseInt(minor, 16),
              inode: BigInt(inode),
              offsetBytes: Number.parseInt(offset, 16),
              // seq_file writes a newline in a name as \012 and nothing else escaped.
              path: (deleted ? label.slice(0, -' (deleted)'.length) : label).replaceAll('\\012', '\n'),
              deleted,
            },
    })
  }
  return areas
}

/**
 * The one mapping behind [startBytes, startBytes + sizeBytes): the area that holds it, or several that follow each other
 * without a gap and show the same file (or none) in order, as the kernel splits areas on mprotect, madvise and mbind.
 * The result spans exactly the bytes asked for. Undefined when there is no such mapping.
 */
export function findMapping(areas: readonly Vma[], startBytes: number, sizeBytes: number): Vma | undefined {
  const endBytes = startBytes + sizeBytes
  const first = areas.findIndex((area) => area.startBytes <= startBytes && startBytes < area.endBytes)
  const area = areas[first]
  if (!area) return undefined
  let last = area
  for (let i = first + 1; last.endBytes < endBytes; i++) {
    const next = areas[i]
    if (!next || !continues(last, next)) return undefined
    last = next
  }
  const file = area.file && { ...area.file, offsetBytes: area.file.offsetBytes + (startBytes - area.startBytes) }
  return { ...area, startBytes, endBytes, file }
}

function continues(area: Vma, next: Vma): boolean {
  if (next.startBytes !== area.endBytes || next.shared !== area.shared) return false
  if (!area.file || !next.file) return area.file === next.file
  return (
    next.file.inode === area.file.inode &&
    next.file.major === area.file.major &&
    next.file.minor === area.file.minor &&
    next.file.offsetBytes === area.file.offsetBytes + (area.endBytes - area.startBytes)
  )
}

/**
 * Throws HostMemoryError `GONE` unless `areas` still show the memory of `mapping` as it was when it was opened: only then
 * does nothing in pagemap mean that nothing was written.
 */
export function checkStillMapped(areas: readonly Vma[], mapping: Vma, about: string): void {
  const now = findMapping(areas, mapping.startBytes, mapping.endBytes - mapping.startBytes)
  if (now && now.shared === mapping.shared && now.file?.inode === mapping.file?.inode) return
  throw new HostMemoryError('GONE', `${about} is no longer mapped as it was`)
}
