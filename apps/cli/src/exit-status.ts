/** 0 done; 1 failed, nothing left behind; 2 the call or its input is wrong; 130 interrupted. */
export const EXIT = { done: 0, failed: 1, wrongInput: 2, interrupted: 130 } as const

/**
 * Errors that say what is wrong in a sentence of their own, and which of their codes mean that the call or its input is
 * wrong (`all`: every one). Anything else is a defect and shows its stack.
 */
const told: Readonly<Record<string, readonly string[] | 'all'>> = {
  UsageError: 'all',
  DescriptorError: 'all',
  DumpError: ['INVALID_OPTION', 'OUTPUT_EXISTS', 'OUTPUT_NOT_WRITABLE', 'KEXEC_UNKNOWN'],
  OfflineError: ['INVALID', 'GUEST_NOT_FOUND'],
  VmcoreError: ['UNREADABLE', 'NOT_A_VMCORE'],
  StoreError: ['KEY_REFUSED', 'KEY_UNKNOWN', 'UNREADABLE', 'OUTPUT_EXISTS', 'OUTPUT_NOT_WRITABLE'],
  CodecError: [],
  ServeError: ['INVALID'],
}

/** How the process ends for `error`, and what it says on stderr. */
export function exitFor(error: unknown): { status: number; message: string } {
  if (!(error instanceof Error)) return { status: EXIT.failed, message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (error.name === 'AbortError') return { status: EXIT.interrupted, message: 'interrupted: nothing was kept' }
  const inputCodes = told[error.name]
  if (inputCodes === undefined) {
    return { status: EXIT.failed, message: `unexpected error, please report it\n${error.stack ?? error.message}` }
  }
  const wrongInput = inputCodes === 'all' || (code !== undefined && inputCodes.includes(code))
  const suffix = code === undefined ? '' : ` [${code}]`
  return { status: wrongInput ? EXIT.wrongInput : EXIT.failed, message: `${error.message}${suffix}` }
}
