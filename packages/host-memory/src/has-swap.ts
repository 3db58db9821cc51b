import { readFileSync } from 'node:fs'

/** Whether this host can swap anything out; true where that cannot be told. Ref: Linux Documentation/filesystems/proc.rst, meminfo. */
export function hasSwap(): boolean {
  try {
    return !/^SwapTotal:\s+0 kB$/m.test(readFileSync('/proc/meminfo', 'latin1'))
  } catch {
    return true
  }
}
