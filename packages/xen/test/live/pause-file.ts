import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { PauseCount } from './fake-hypervisor.ts'

/** A count of pauses in a file, as the hypervisor keeps it for all processes. */
export function pauseFile(path: string): PauseCount {
  return {
    get() {
      try {
        return Number(readFileSync(path, 'utf8'))
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
        throw error
      }
    },
    set(count) {
      writeFileSync(`${path}.new`, String(count))
      renameSync(`${path}.new`, path)
    },
  }
}
