import { close, constants, fstat, open, read, type Stats } from 'node:fs'
import { promisify } from 'node:util'
import type { ByteSource } from './byte-source.ts'
import { checkInside } from './check-inside.ts'
import type { SharedBytes } from './shared-bytes.ts'
import { VmcoreError } from './vmcore-error.ts'

/** Without O_NONBLOCK opening a FIFO waits for a writer, for ever. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

const openFile = promisify(open)
const closeFile = promisify(close)
const statFile: (fd: number) => Promise<Stats> = promisify(fstat)
const readFile = promisify(read)

/**
 * A regular file, by path or by open descriptor. A descriptor stays open when the source is disposed.
 * Throws VmcoreError UNREADABLE.
 */
export async function openFileSource(file: string | number): Promise<ByteSource> {
  const name = typeof file === 'number' ? `descriptor ${file}` : file
  let fd: number
  try {
    fd = typeof file === 'number' ? file : await openFile(file, OPEN_FLAGS)
  } catch (cause) {
    throw new VmcoreError('UNREADABLE', `cannot open ${name}: ${messageOf(cause)}`, { cause })
  }
  try {
    const stats = await statFile(fd)
    if (!stats.isFile()) throw new VmcoreError('UNREADABLE', `${name} is not a regular file`)
    return new FileSource(fd, name, stats.size, typeof file === 'string')
  } catch (cause) {
    if (typeof file === 'string') await closeFile(fd)
    if (cause instanceof VmcoreError) throw cause
    throw new VmcoreError('UNREADABLE', `cannot ask for the size of ${name}: ${messageOf(cause)}`, { cause })
  }
}

class FileSource implements ByteSource {
  readonly #fd: number
  readonly #name: string
  readonly #owned: boolean
  readonly #reading = new Set<Promise<unknown>>()
  #closed = false
  readonly sizeBytes: number

  constructor(fd: number, name: string, sizeBytes: number, owned: boolean) {
    this.#fd = fd
    this.#name = name
    this.sizeBytes = sizeBytes
    this.#owned = owned
  }

  async read(into: Uint8Array, position: number, what: string): Promise<void> {
    checkInside(this.sizeBytes, into.length, position, what)
    await this.#whileOpen(what, () => this.#fill(into, position, what))
  }

  lend<T>(use: (bytes: SharedBytes) => Promise<T>): Promise<T> {
    return this.#whileOpen('its pages', () => use({ fd: this.#fd, sizeBytes: this.sizeBytes, extents: undefined }))
  }

  readSparse(into: Uint8Array, position: number, what: string): Promise<void> {
    return this.read(into, position, what)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled(this.#reading)
    if (this.#owned) await closeFile(this.#fd)
  }

  /** The number of a closed descriptor may be another file's: nothing starts after closing, and closing waits. */
  async #whileOpen<T>(what: string, start: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new VmcoreError('UNREADABLE', `${this.#name} is closed, cannot read ${what}`)
    const reading = start()
    this.#reading.add(reading)
    try {
      return await reading
    } finally {
      this.#reading.delete(reading)
    }
  }

  async #fill(into: Uint8Array, position: number, what: string): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const at = position + done
      let got: number
      try {
        got = (await readFile(this.#fd, into, done, into.length - done, at)).bytesRead
      } catch (cause) {
        throw new VmcoreError('UNREADABLE', `cannot read ${what} at offset ${at}: ${messageOf(cause)}`, { cause })
      }
      if (got === 0) {
        throw new VmcoreError(
          'TRUNCATED',
          `${what} goes up to offset ${position + into.length}, the file ends at ${at}`,
        )
      }
      done += got
    }
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
