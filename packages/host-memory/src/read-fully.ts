import { readSync } from 'node:fs'
import { HostMemoryError } from './host-memory-error.ts'

/** Of what is read: its name for messages, and where byte `position` of the file lies in the source. */
export interface ReadTarget {
  readonly fd: number
  readonly about: string
  /** Position in the file of the source's first byte. */
  readonly baseBytes: number
}

/** pread(2) until `into` is full, from byte `offsetBytes` of the source on. Throws HostMemoryError with the exact offset. */
export function readFully(target: ReadTarget, offsetBytes: number, into: Uint8Array): void {
  let done = 0
  while (done < into.length) {
    const at = offsetBytes + done
    let count: number
    try {
      count = readSync(target.fd, into, done, into.length - done, target.baseBytes + at)
    } catch (error) {
      if (systemCode(error) === 'EINTR') continue
      throw unreadable(error, target, at)
    }
    if (count === 0) {
      throw new HostMemoryError('GONE', `${target.about} ended at byte ${at}, ${into.length - done} bytes too early`, {
        offsetBytes: at,
      })
    }
    done += count
  }
}

function unreadable(error: unknown, target: ReadTarget, offsetBytes: number): unknown {
  const code = systemCode(error)
  if (code === undefined) return error
  const where = `byte ${offsetBytes} of ${target.about}`
  // mm/shmem.c and fs/hugetlbfs answer EIO for a poisoned page, EHWPOISON is 133.
  const poisoned = code === 'EIO' || code === 'EHWPOISON' || code === 'Unknown system error -133'
  const text = poisoned
    ? `${where} cannot be read (${code}): the host's memory there has failed (hwpoison), or is no longer mapped`
    : `${where} cannot be read: ${code}`
  return new HostMemoryError(code === 'ESRCH' ? 'GONE' : 'UNREADABLE', text, { cause: error, offsetBytes })
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
