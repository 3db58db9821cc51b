/**
 * `NOT_FOUND`: no such process, file or mapping. `DENIED`: this user may not read it. `INVALID`: what was asked for does
 * not fit what is there (sizes, overlaps, alignment, kind of file). `UNREADABLE`: the host holds it and cannot give it (a
 * poisoned page). `GONE`: it was there and no longer is (the process ended, the file was truncated).
 */
export type HostMemoryErrorCode = 'NOT_FOUND' | 'DENIED' | 'INVALID' | 'UNREADABLE' | 'GONE'

export class HostMemoryError extends Error {
  override readonly name = 'HostMemoryError'
  readonly code: HostMemoryErrorCode
  /** Of a failed `read`: the first byte that could not be read, counted from the start of the source. */
  readonly offsetBytes: number | undefined
  /** Of a failed `GuestRam.read`: the first frame that could not be read. */
  readonly pfn: number | undefined

  constructor(
    code: HostMemoryErrorCode,
    message: string,
    options: ErrorOptions & { offsetBytes?: number; pfn?: number } = {},
  ) {
    super(message, options)
    this.code = code
    this.offsetBytes = options.offsetBytes
    this.pfn = options.pfn
  }
}

const codes: Readonly<Record<string, HostMemoryErrorCode>> = {
  ENOENT: 'NOT_FOUND',
  ENOTDIR: 'NOT_FOUND',
  ESRCH: 'GONE',
  EACCES: 'DENIED',
  EPERM: 'DENIED',
  ELOOP: 'INVALID',
  EISDIR: 'INVALID',
}

/** The HostMemoryError for a failed system call, with what was attempted in front. Any other error comes back as it is. */
export function fromSystemError(error: unknown, attempt: string): unknown {
  if (error instanceof HostMemoryError) return error
  if (!(error instanceof Error) || !('code' in error)) return error
  const text = error.message.replace(/, (open|read|stat|fstat|readlink|scandir)\b.*$/, '')
  const code = codes[String(error.code)] ?? 'UNREADABLE'
  const advice = code === 'DENIED' ? '; it takes root, or the same user and CAP_SYS_PTRACE' : ''
  return new HostMemoryError(code, `${attempt}: ${text}${advice}`, { cause: error })
}
