import { constants, readSync } from 'node:fs'
import { type FileHandle, link, lstat, open, rm, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { linkOpenFile } from '@ullage/native'
import type { PositionedSink } from '@ullage/vmcore'
import { DumpError } from './dump-error.ts'

/** Of artifact and report: a guest's memory is its owner's alone. */
const MODE = 0o600

/** Linux include/uapi/asm-generic/fcntl.h: __O_TMPFILE with O_DIRECTORY. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY

/** What a file system answers that has no files without names, or a kernel that knows none. */
const NO_TMPFILE = new Set(['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT'])

/**
 * A file that appears under its final name complete or not at all. Until `publish` it has no name, so that nothing is
 * left of it whatever ends this process; where the file system has no such files it has a hidden name of its own, which
 * disposing removes.
 */
export class LocalArtifact implements PositionedSink, AsyncDisposable {
  /** Absolute path of the finished file. */
  readonly path: string
  readonly #file: FileHandle
  readonly #hiddenPath: string | undefined
  #open = true

  private constructor(path: string, file: FileHandle, hiddenPath?: string) {
    this.path = path
    this.#file = file
    this.#hiddenPath = hiddenPath
  }

  /** Throws DumpError `OUTPUT_EXISTS` or `OUTPUT_NOT_WRITABLE`. */
  static async create(path: string): Promise<LocalArtifact> {
    const final = resolve(path)
    await refuseUnlessFree(final)
    const folder = dirname(final)
    try {
      return new LocalArtifact(final, await open(folder, O_TMPFILE | constants.O_RDWR, MODE))
    } catch (error) {
      if (!NO_TMPFILE.has(codeOf(error) ?? '')) throw notWritable(final, error)
    }
    const hidden = join(folder, `.${basename(final)}.${process.pid}-${Date.now().toString(36)}.partial`)
    try {
      const file = await open(hidden, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, MODE)
      return new LocalArtifact(final, file, hidden)
    } catch (error) {
      throw notWritable(final, error)
    }
  }

  /** Where this process can open the unfinished file. */
  get partialPath(): string {
    return this.#hiddenPath ?? `/proc/self/fd/${this.#file.fd}`
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, position + at)
        at += bytesWritten
      }
    } catch (error) {
      throw this.#writeFailed(error)
    }
  }

  readBack(into: Uint8Array, position: number): void {
    try {
      for (let at = 0; at < into.length; ) {
        const bytesRead = readSync(this.#file.fd, into, at, into.length - at, position + at)
        if (bytesRead === 0) throw new Error(`it ends at byte ${position + at}`)
        at += bytesRead
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new DumpError('VERIFY_FAILED', `cannot read back what was written to ${this.path}: ${reason}`, {
        cause: error,
      })
    }
  }

  /** Free bytes where the file lies. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(dirname(this.path))
    return bavail * bsize
  }

  /** Makes the content durable and gives the file its final name, which must still be free. */
  async publish(): Promise<void> {
    try {
      await this.#file.sync()
      if (this.#hiddenPath === undefined) linkOpenFile(this.#file.fd, this.path)
      else await link(this.#hiddenPath, this.path)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') throw exists(this.path)
      throw this.#writeFailed(error)
    }
    await this[Symbol.asyncDispose]()
    const folder = await open(dirname(this.path), constants.O_RDONLY)
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }

  /** Takes back what `publish` did. */
  async unpublish(): Promise<void> {
    await rm(this.path, { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await this.#file.close()
    if (this.#hiddenPath !== undefined) await rm(this.#hiddenPath, { force: true })
  }

  #writeFailed(error: unknown): DumpError {
    const code = codeOf(error)
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
      return new DumpError(
        'NO_SPACE',
        `no space left to write ${this.path} (${code}); nothing was kept: free some space, or name an output elsewhere`,
        { cause: error },
      )
    }
    return notWritable(this.path, error)
  }
}

/** Throws DumpError when `path` cannot become a new file: it exists, or its folder does not. */
export async function refuseUnlessFree(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => ignoreMissing(error, path))
  if (found) throw exists(path, found.isDirectory())
  const folder = await stat(dirname(path)).catch((error: unknown) => ignoreMissing(error, path))
  if (!folder?.isDirectory()) {
    throw new DumpError(
      'OUTPUT_NOT_WRITABLE',
      `the output needs an existing folder, ${dirname(path)} is ${folder ? 'not a folder' : 'not there'}`,
    )
  }
}

function ignoreMissing(error: unknown, path: string): undefined {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined
  throw notWritable(path, error)
}

function exists(path: string, isFolder = false): DumpError {
  return new DumpError(
    'OUTPUT_EXISTS',
    isFolder
      ? `the output must be a new file, ${path} is a folder; name a file in it`
      : `the output must be a new file, ${path} exists; nothing is overwritten: remove it or name another`,
  )
}

function notWritable(path: string, error: unknown): DumpError {
  const reason = error instanceof Error ? error.message : String(error)
  return new DumpError('OUTPUT_NOT_WRITABLE', `cannot write ${path}: ${reason}`, { cause: error })
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
