import { UsageError } from './usage-error.ts'

/** 0 done; 1 failed, nothing left behind; 2 the call or its input is wrong; 130 interrupted. */
export const EXIT = { done: 0, failed: 1, wrongInput: 2, interrupted: 130 } as const

/** Errors that say what is wrong in a sentence of their own. Anything else is a defect and shows its stack. */
const TOLD = new Set([
  'UsageError',
  'DescriptorError',
  'DumpError',
  'OfflineError',
  'VmcoreError',
  'LinuxGuestError',
  'CodecError',
  'ServeError',
])

const INPUT_CODES = new Set([
  'INVALID',
  'GUEST_NOT_FOUND',
  'INVALID_OPTION',
  'OUTPUT_EXISTS',
  'OUTPUT_NOT_WRITABLE',
  'NOT_A_VMCORE',
  'NOT_FOUND',
])

/** How the process ends for `error`, and what it says on stderr. */
export function exitFor(error: unknown): { status: number; message: string } {
  if (!(error instanceof Error)) return { status: EXIT.failed, message: String(error) }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (error.name === 'AbortError') return { status: EXIT.interrupted, message: 'interrupted: nothing was kept' }
  if (!TOLD.has(error.name)) {
    return { status: EXIT.failed, message: `unexpected error, please report it\n${error.stack ?? error.message}` }
  }
  const wrongInput =
    error instanceof UsageError || error.name === 'DescriptorError' || (code !== undefined && INPUT_CODES.has(code))
  const suffix = code === undefined ? '' : ` [${code}]`
  return { status: wrongInput ? EXIT.wrongInput : EXIT.failed, message: `${error.message}${suffix}` }
}
