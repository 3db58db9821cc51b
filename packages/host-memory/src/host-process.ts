import { closeSync, openSync, readSync } from 'node:fs'
import { pageSize } from '@ullage/native'
import { fromSystemError, HostMemoryError } from './host-memory-error.ts'
import { PagemapReader } from './pagemap.ts'
import { parseProcessMap, type Vma } from './process-map.ts'

/** A process of this host whose memory is looked at. */
export interface HostProcess extends Disposable {
  readonly pid: number
  /** For messages: `process 1234`. */
  readonly about: string
  /** Path of its folder in /proc, held open: it never leads to another process that was given the same pid later. */
  readonly folder: string
  /** Page size of the host in bytes. */
  readonly pageBytes: number
  /** Descriptor of /proc/PID/mem. Reading it where pagemap shows nothing allocates. */
  readonly memFd: number
  readonly pagemap: PagemapReader
  /** Its areas as they are now, ascending. Throws HostMemoryError `GONE` when it has ended. */
  areas(): readonly Vma[]
}

/**
 * Opens what /proc shows of the memory of process `pid`. Throws HostMemoryError: `NOT_FOUND` when there is no such process,
 * `DENIED` when this user may not look.
 */
export function openHostProcess(pid: number): HostProcess {
  if (!Number.isSafeInteger(pid) || pid <= 0) {
    throw new HostMemoryError('INVALID', `a process id must be a positive integer, found ${pid}`)
  }
  const about = `process ${pid}`
  const open: number[] = []
  const openFile = (path: string, what: string): number => {
    try {
      const fd = openSync(path, 'r')
      open.push(fd)
      return fd
    } catch (error) {
      throw fromSystemError(error, `cannot open ${what} of ${about}`)
    }
  }
  const close = (): void => {
    for (const fd of open.splice(0)) closeSync(fd)
  }
  try {
    const folder = `/proc/self/fd/${openFile(`/proc/${pid}`, 'the folder in /proc')}`
    const mapsFd = openFile(`${folder}/maps`, 'the memory map')
    const pagemapFd = openFile(`${folder}/pagemap`, 'the pagemap')
    const memFd = openFile(`${folder}/mem`, 'the memory')
    const pageBytes = pageSize()
    let text = ''
    let areas: readonly Vma[] = []
    return {
      pid,
      about,
      folder,
      pageBytes,
      memFd,
      pagemap: new PagemapReader({ fd: pagemapFd, pageBytes, about }),
      areas() {
        const now = readAll(mapsFd, about)
        if (now === '') throw new HostMemoryError('GONE', `${about} has ended: its memory map is empty`)
        if (now !== text) {
          areas = parseProcessMap(now)
          text = now
        }
        return areas
      },
      [Symbol.dispose]: close,
    }
  } catch (error) {
    close()
    throw error
  }
}

/** What is in a file of /proc from its start, whose size cannot be asked. */
function readAll(fd: number, about: string): string {
  let bytes = Buffer.allocUnsafeSlow(65_536)
  for (let at = 0; ; ) {
    if (at === bytes.length) bytes = Buffer.concat([bytes, Buffer.allocUnsafeSlow(at)])
    const count = readChunk(fd, bytes.subarray(at), at, about)
    if (count === 0) return bytes.toString('utf8', 0, at)
    at += count
  }
}

function readChunk(fd: number, into: Uint8Array, at: number, about: string): number {
  try {
    return readSync(fd, into, 0, into.length, at)
  } catch (error) {
    throw fromSystemError(error, `cannot read the memory map of ${about}`)
  }
}
