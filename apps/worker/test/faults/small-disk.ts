import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** What one write of the filler takes, in bytes. */
const CHUNK = Buffer.alloc(64 << 10, 1)

/** A file system of its own (tmpfs) at `folder`, small enough to be full. Needs root. */
export class SmallDisk implements Disposable {
  readonly folder: string
  readonly #filler: string

  constructor(folder: string, bytes: number) {
    this.folder = folder
    this.#filler = join(folder, '.filler')
    mkdirSync(folder, { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0750`, 'ullage-small-disk', folder])
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.folder)
    return bavail * bsize
  }

  /** Takes all that is free but `leaveBytes`. */
  fill(leaveBytes = 0): void {
    const file = openSync(this.#filler, 'a')
    try {
      while (this.freeBytes > leaveBytes) writeSync(file, CHUNK, 0, Math.min(CHUNK.length, this.freeBytes - leaveBytes))
    } catch (error) {
      // What was free has been taken by somebody else meanwhile.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    } finally {
      closeSync(file)
    }
  }

  /** Gives back what `fill` took. */
  clear(): void {
    rmSync(this.#filler, { force: true })
  }

  [Symbol.dispose](): void {
    // Lazily: a process that is just ending may still have a file open there.
    execFileSync('umount', ['--lazy', this.folder])
  }
}
