import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import type { FastifyBaseLogger } from 'fastify'
import { z } from 'zod'

/** A file is looked at again after this time, in milliseconds. */
const LOOK_EVERY_MS = 1_000
const MOST_BYTES = 4 << 20
/** What others than owner and group may do. */
const OTHERS = 0o007

export interface ReloadedFileOptions<T> {
  readonly path: string
  /** Throws when the text is wrong. */
  readonly parse: (text: string) => T
  /** Refused when others than its owner and group may read or write it. */
  readonly isPrivate: boolean
  readonly log: FastifyBaseLogger
}

/**
 * What a file says, read again when it changes. The constructor throws when it cannot be used; later such a file is logged
 * and what was read last holds on: an edit that went wrong locks nobody out.
 */
export class ReloadedFile<T> {
  readonly #options: ReloadedFileOptions<T>
  #value: T
  #version: string
  #lookedAtMs: number

  constructor(options: ReloadedFileOptions<T>) {
    this.#options = options
    this.#version = versionOf(options.path)
    this.#value = read(options)
    this.#lookedAtMs = performance.now()
  }

  current(): T {
    if (performance.now() - this.#lookedAtMs >= LOOK_EVERY_MS) this.#look()
    return this.#value
  }

  #look(): void {
    this.#lookedAtMs = performance.now()
    const { path, log } = this.#options
    const version = versionOf(path)
    if (version === this.#version) return
    this.#version = version
    try {
      this.#value = read(this.#options)
      log.info({ path }, 'the file changed and is read')
    } catch (error) {
      log.error({ path, reason: error instanceof Error ? error.message : String(error) }, 'the file holds as it was')
    }
  }
}

function versionOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  return found ? `${found.mtimeMs} ${found.ctimeMs} ${found.size} ${found.ino}` : 'absent'
}

function read<T>({ path, parse, isPrivate }: ReloadedFileOptions<T>): T {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const { mode, size } = fstatSync(file)
    if (isPrivate && mode & OTHERS) {
      const found = (mode & 0o777).toString(8).padStart(4, '0')
      throw new Error(`expected a file that only its owner and group can read, found mode ${found}: chmod o= ${path}`)
    }
    if (size > MOST_BYTES) throw new Error(`expected at most ${MOST_BYTES} bytes, found ${size}`)
    return parse(readFileSync(file, 'utf8'))
  } catch (error) {
    // Neither text that is no JSON nor a value that is wrong is repeated.
    if (error instanceof SyntaxError) throw new Error(`expected JSON in ${path}`, { cause: error })
    if (error instanceof z.ZodError) {
      const issues = error.issues.map(({ path: where, message }) => `${where.join('.') || 'the whole'}: ${message}`)
      throw new Error(`${path}: ${issues.join('; ')}`, { cause: error })
    }
    throw error
  } finally {
    closeSync(file)
  }
}
