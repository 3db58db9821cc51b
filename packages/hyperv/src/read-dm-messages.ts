import { closeSync, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { OfflineError, throwIfAborted } from '@ullage/offline-query'
import type { DmSender } from './dm-message.ts'
import { openRegular } from './read-bounded.ts'

/** A message has at most 65535 bytes, twice that in hex. */
const MAX_LINE_BYTES = 256 * 1024
const CHUNK_BYTES = 1024 * 1024

/** One line of a `dm.jsonl`. */
export interface DmLine {
  /** Counted from 1. */
  readonly line: number
  readonly from: DmSender
  readonly bytes: Uint8Array
}

/**
 * Reads messages in the order of the wire, one JSON object a line: `{ "from": "guest" | "host", "hex": "…" }`. Further
 * keys and empty lines do not matter. Holds one megabyte of the file at a time. Throws OfflineError `INVALID`, naming the
 * line, or AbortError.
 */
export async function* readDmMessages(
  path: string,
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<DmLine> {
  let number = 0
  for await (const text of linesOf(path, options.signal)) {
    number++
    if (text.trim() === '') continue
    yield { line: number, ...parseLine(text, `${path}:${number}`) }
  }
}

function parseLine(text: string, where: string): { from: DmSender; bytes: Uint8Array } {
  const value = parseJson(text, where)
  const from: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'from') : undefined
  const hex: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'hex') : undefined
  if (from !== 'guest' && from !== 'host') throw invalid(where, text)
  if (typeof hex !== 'string' || hex.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(hex)) throw invalid(where, text)
  return { from, bytes: Buffer.from(hex, 'hex') }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalid(where, text, cause)
  }
}

function invalid(where: string, found: string, cause?: unknown): OfflineError {
  const expected = 'a message as { "from": "guest" or "host", "hex": bytes in hex }'
  return new OfflineError('INVALID', `${where}: expected ${expected}, found ${JSON.stringify(found.slice(0, 80))}`, {
    cause,
  })
}

async function* linesOf(path: string, signal: AbortSignal | undefined): AsyncGenerator<string> {
  const { fd } = openRegular(path, 'Dynamic Memory messages')
  try {
    let rest = Buffer.alloc(0)
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (;;) {
      // An abort is an event: it shows after a turn of the event loop.
      await setImmediate()
      throwIfAborted(signal)
      const count = readSome(fd, chunk, path)
      if (count === 0) break
      const bytes = Buffer.concat([rest, chunk.subarray(0, count)])
      let at = 0
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, at)) {
        yield bytes.toString('utf8', at, end)
        at = end + 1
      }
      rest = bytes.subarray(at)
      if (rest.length > MAX_LINE_BYTES) {
        const found = `one of more than ${MAX_LINE_BYTES} bytes`
        throw new OfflineError('INVALID', `${path}: expected lines of one message each, found ${found}`)
      }
    }
    if (rest.length > 0) yield rest.toString('utf8')
  } finally {
    closeSync(fd)
  }
}

function readSome(fd: number, into: Buffer, path: string): number {
  try {
    return readSync(fd, into, 0, into.length, null)
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause)
    throw new OfflineError('INVALID', `expected Dynamic Memory messages at ${path}, found: ${found}`, { cause })
  }
}
