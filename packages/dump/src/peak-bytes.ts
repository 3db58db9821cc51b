import { readFileSync } from 'node:fs'

/**
 * The most memory this process had resident so far, in bytes (proc(5), VmHWM). Not getrusage's ru_maxrss: that one keeps
 * what the program had that this one was started from.
 */
export function peakBytes(): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
  if (kibibytes === undefined) throw new Error('/proc/self/status has no VmHWM line')
  return Number(kibibytes) * 1024
}
