import { OfflineError } from '@ullage/offline-query'
import { readBounded } from './read-bounded.ts'

/** About ten million ranges. */
const MAX_BYTES = 256 * 1024 * 1024
/** Lists, objects and what follows a comma in them: three of them make a range, so eight million ranges. */
const MAX_ITEMS = 3 * 2 ** 23
/** Lists and objects inside one another: a hole map has four. */
const MAX_NESTING = 8

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * The text of a JSON file of ranges. Throws OfflineError `INVALID` when it cannot be read, or nests deeper or holds more than
 * such a file does: what a parser makes of either takes gigabytes.
 */
export function readBoundedJson(path: string, options: { what: string }): string {
  const bytes = readBounded(path, { maxBytes: MAX_BYTES, what: options.what })
  checkBulk(bytes, { ...options, about: path, maxNesting: MAX_NESTING, maxItems: MAX_ITEMS })
  return bytes.toString('utf8')
}

/** Looks at the brackets and commas of JSON text. Throws OfflineError `INVALID`. */
export function checkBulk(
  bytes: Uint8Array,
  options: { about: string; what: string; maxNesting: number; maxItems: number },
): void {
  let depth = 0
  let items = 0
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        for (at++; at < bytes.length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++
        break
      case OPEN_LIST:
      case OPEN_OBJECT:
        items++
        if (++depth > options.maxNesting) throw invalid(options, `${options.maxNesting} lists deep at most`, at)
        break
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        depth--
        break
      case COMMA:
        items++
    }
    if (items > options.maxItems) throw invalid(options, `${options.maxItems} lists and commas at most`, at)
  }
}

function invalid({ about, what }: { about: string; what: string }, expected: string, at: number): OfflineError {
  return new OfflineError('INVALID', `${about}: expected ${what}, ${expected}, found more at byte ${at}`)
}
