import { constants } from 'node:os'
import { lastErrno, libc } from './foreign.ts'
import { systemError } from './system-error.ts'

// include/uapi/linux/prctl.h
const PR_SET_PDEATHSIG = 1

const prctl: (option: number, value: number, third: number, fourth: number, fifth: number) => number = libc.func(
  'prctl',
  'int',
  ['int', 'unsigned long', 'unsigned long', 'unsigned long', 'unsigned long'],
)

/**
 * Has the kernel send `signal` to this process when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG). A parent
 * that has died before the call is not noticed: compare `process.ppid` with what the parent said of itself afterwards.
 * Throws a system error.
 */
export function setParentDeathSignal(signal: NodeJS.Signals): void {
  if (prctl(PR_SET_PDEATHSIG, constants.signals[signal], 0, 0, 0) !== 0) throw systemError('prctl', lastErrno(), signal)
}
