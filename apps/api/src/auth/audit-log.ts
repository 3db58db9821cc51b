import { close, closeSync, constants, fdatasync, fstat, fstatSync, openSync, stat, write } from 'node:fs'
import { promisify } from 'node:util'
import { within } from '../within.ts'

const [writeTo, syncToDisk, closeFile] = [promisify(write), promisify(fdatasync), promisify(close)]
const [statPath, statFile] = [promisify(stat), promisify(fstat)]

/** What was decided of a request. One line of the file each. */
export interface AuditEntry {
  /** Id of who asked; null when that is not known. */
  readonly principal: string | null
  readonly tenant: string | null
  /** Method and route, such as `DELETE /v1/dumps/:id`. */
  readonly action: string
  /** Such as `guest:web-1` or `dump:ID`; null for a list. */
  readonly resource: string | null
  /**
   * `allowed`: may be done, written before it is. `done`: a change was made. `refused`: it was the asker's fault. `failed`: it
   * was not.
   */
  readonly outcome: 'allowed' | 'done' | 'refused' | 'failed'
  /** The problem's code when it was refused or failed. */
  readonly code: string | null
  /** Id of the request, as in the log. */
  readonly request: string
  /** Address of the other end of the connection; null for a unix socket. */
  readonly address: string | null
}

export interface AuditSink {
  /** Resolves when the line is on the disk; rejects when it cannot be brought there, or not in time. */
  write(entry: AuditEntry): Promise<void>
}

interface Waiting {
  readonly line: string
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** How long a line is waited for, in milliseconds. */
const WITHIN_MS = 10_000
/** Lines that wait for the disk at the same time, some 400 bytes each. */
const MOST_WAITING = 10_000

export interface AuditLogLimits {
  readonly withinMs?: number
  readonly mostWaiting?: number
  /** Brings what was written to a file to the disk. */
  readonly sync?: (file: number) => Promise<void>
}

const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK
const MODE = 0o600

/**
 * A file of JSON lines that are only ever appended, each by one write. Lines that come at once share one sync. When the file
 * is moved away, a new one is begun in its place. While the disk hangs a line that was waited for long enough is refused, and so is
 * one too many; one that waits is written when the disk goes on, refused or not.
 */
export class AuditLog implements AuditSink, AsyncDisposable {
  readonly #path: string
  #file: number
  /** The last line may lack its end. */
  #torn = false
  #waiting: Waiting[] = []
  /** Lines in `#waiting`, and those that are being written. */
  #pending = 0
  #writing: Promise<void> | undefined
  readonly #limits: Required<AuditLogLimits>

  /** Opens or makes the file. Throws when others than its owner can read or write it. */
  constructor(
    path: string,
    { withinMs = WITHIN_MS, mostWaiting = MOST_WAITING, sync = syncToDisk }: AuditLogLimits = {},
  ) {
    this.#path = path
    this.#limits = { withinMs, mostWaiting, sync }
    this.#file = openPrivate(path)
  }

  async write(entry: AuditEntry): Promise<void> {
    const { withinMs, mostWaiting } = this.#limits
    if (this.#pending >= mostWaiting) {
      throw new Error(`expected fewer than ${mostWaiting} lines to wait for ${this.#path}: does its disk hang?`)
    }
    this.#pending++
    const line = `${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`
    const written = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
    await within(written, withinMs, () => this.#late())
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0)
      try {
        await this.#reopenWhenMoved()
        for (const { line } of batch) await this.#append(line)
        await this.#limits.sync(this.#file)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
      this.#pending -= batch.length
    }
    // In the same breath as the last look: a line that comes now begins anew.
    this.#writing = undefined
  }

  #late(): Error {
    return new Error(`expected ${this.#path} to be written within ${this.#limits.withinMs} ms: does its disk hang?`)
  }

  async #append(line: string): Promise<void> {
    const bytes = Buffer.from(this.#torn ? `\n${line}` : line)
    const { bytesWritten } = await writeTo(this.#file, bytes)
    this.#torn = bytesWritten > 0 && bytesWritten < bytes.length
    if (bytesWritten < bytes.length) {
      throw new Error(`expected to write ${bytes.length} bytes to ${this.#path}, wrote ${bytesWritten}`)
    }
  }

  async #reopenWhenMoved(): Promise<void> {
    // Not one that makes all else wait for the disk.
    const [there, ours] = await Promise.all([statPath(this.#path).catch(() => undefined), statFile(this.#file)])
    if (there && there.ino === ours.ino && there.dev === ours.dev) return
    const old = this.#file
    this.#file = openPrivate(this.#path)
    this.#torn = false
    await closeFile(old)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = await within(this.#writing ?? Promise.resolve(), this.#limits.withinMs / 4, () => this.#late()).then(
      () => true,
      () => false,
    )
    // A file that hangs is closed by the end of the process.
    if (ended) closeSync(this.#file)
  }
}

function openPrivate(path: string): number {
  const file = openSync(path, FLAGS, MODE)
  try {
    const found = fstatSync(file)
    if (!found.isFile()) throw new Error(`expected a regular file at ${path}`)
    if (found.mode & 0o077) {
      const mode = (found.mode & 0o777).toString(8).padStart(4, '0')
      throw new Error(`expected a file of its owner alone, found mode ${mode}: chmod 600 ${path}`)
    }
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}
