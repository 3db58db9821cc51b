import { HostMemoryError } from './host-memory-error.ts'

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
 * Looks at the brackets and commas of a JSON file of ranges, before it is parsed. Throws HostMemoryError `INVALID` when it
 * nests deeper or holds more than such a file does: what a parser makes of either takes gigabytes.
 *
 * @param options.about the file, for messages. `what`: what it should hold.
 */
export function checkJsonBulk(
  bytes: Uint8Array,
  options: { about: string; what: string; maxNesting?: number; maxItems?: number },
): void {
  const { maxNesting = MAX_NESTING, maxItems = MAX_ITEMS } = options
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
        if (++depth > maxNesting) throw invalid(options, `${maxNesting} lists deep at most`, at)
        break
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        depth--
        break
      case COMMA:
        items++
    }
    if (items > maxItems) throw invalid(options, `${maxItems} lists and commas at most`, at)
  }
}

function invalid({ about, what }: { about: string; what: string }, expected: string, at: number): HostMemoryError {
  return new HostMemoryError('INVALID', `${about}: expected ${what}, ${expected}, found more at byte ${at}`)
}
