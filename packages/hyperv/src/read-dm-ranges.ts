import { checkJsonBulk } from '@ullage/host-memory'
import { OfflineError } from '@ullage/offline-query'
import { mergeRanges, type PfnRange } from '@ullage/pages'
import type { DmRanges } from './dm-ranges.ts'
import { translated } from './files-memory.ts'
import { readBounded } from './read-bounded.ts'

/** About ten million ranges. */
export const MAX_RANGES_BYTES = 256 * 1024 * 1024

const FORM = '{ "ballooned": [[start, count], …], "hotAdded": [[start, count], …] }, in frames of 4096 bytes'

/**
 * Reads ranges that a VMM, or a tool that saw the channel, has written down: `{ "ballooned": [[start, count], …],
 * "hotAdded": [[start, count], …] }`, in any order. Without `hotAdded` nothing is known of hot-added memory. Throws
 * OfflineError `INVALID`.
 */
export function readDmRanges(path: string): DmRanges {
  const what = 'balloon ranges'
  const bytes = readBounded(path, { maxBytes: MAX_RANGES_BYTES, what })
  translated(() => checkJsonBulk(bytes, { about: path, what }))
  return parseDmRanges(bytes.toString('utf8'), path)
}

/** The content of such a file; `about` names it in errors. */
export function parseDmRanges(text: string, about: string): DmRanges {
  const value = parseJson(text, about)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(about, FORM, value)
  for (const key of Object.keys(value)) {
    if (key !== 'ballooned' && key !== 'hotAdded') throw invalid(about, FORM, { [key]: Reflect.get(value, key) })
  }
  const ballooned: unknown = Reflect.get(value, 'ballooned')
  const hotAdded: unknown = Reflect.get(value, 'hotAdded')
  return {
    ballooned: toRanges(ballooned, `${about}: ballooned`),
    hotAdded: hotAdded === undefined ? [] : toRanges(hotAdded, `${about}: hotAdded`),
    perhapsAdded: [],
    knowsBallooned: true,
    knowsHotAdded: hotAdded !== undefined,
  }
}

function toRanges(value: unknown, where: string): PfnRange[] {
  if (!Array.isArray(value)) throw invalid(where, 'a list of [start, count]', value)
  return mergeRanges(value.map((item: unknown, i) => toRange(item, `${where}[${i}]`)))
}

function toRange(value: unknown, where: string): PfnRange {
  const [start, count, ...more] = Array.isArray(value) ? (value as unknown[]) : []
  const isRange = isCount(start) && isCount(count) && count > 0 && Number.isSafeInteger(start + count)
  if (isRange && more.length === 0) return { start, count }
  throw invalid(where, '[start, count] in frames, of at least one', value)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function parseJson(text: string, about: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new OfflineError('INVALID', `${about}: expected JSON: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
}

function invalid(where: string, expected: string, found: unknown): OfflineError {
  const shown = found === undefined ? 'nothing' : (JSON.stringify(found) ?? String(found)).slice(0, 80)
  return new OfflineError('INVALID', `${where}: expected ${expected}, found ${shown}`)
}
