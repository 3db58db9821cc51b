import { libc } from './foreign.ts'

/**
 * Ends this process with `status` at once (_exit(2)), also while a file system hangs: `process.exit` waits for the threads that
 * call it. What has to be written was written before; who listens for the event `exit` is not told.
 */
export function endProcess(status: number): never {
  const exit: (status: number) => void = libc.func('_exit', 'void', ['int'])
  exit(status)
  throw new Error('_exit returned')
}
