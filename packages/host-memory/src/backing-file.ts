import type { ByteRange } from '@ullage/native'
import { checkJsonBulk } from './check-json-bulk.ts'
import { HostMemoryError } from './host-memory-error.ts'

/**
 * The content of a `backing.json`: `{ "regions": [ [ [startByte, endByte], … ], … ] }`, for each region of a guest the byte
 * ranges of its file that hold data. Whether they ascend and lie inside the file is checked where they are used. Throws
 * HostMemoryError `INVALID`, before it parses what is nested deeper or holds more than such a file does.
 *
 * @param about for messages: the path it was read from.
 * @param regions how many regions the guest has.
 */
export function parseBackingFile(bytes: Uint8Array, options: { about: string; regions: number }): ByteRange[][] {
  const { about } = options
  checkJsonBulk(bytes, { about, what: 'a backing map' })
  const value = parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'), about)
  const regions = isRecord(value) ? value['regions'] : undefined
  if (!Array.isArray(regions)) {
    throw new HostMemoryError('INVALID', `${about}: expected { "regions": [ [ [startByte, endByte], … ], … ] }`)
  }
  if (regions.length !== options.regions) {
    throw new HostMemoryError(
      'INVALID',
      `${about}: expected the ranges of ${options.regions} regions, found those of ${regions.length}`,
    )
  }
  return regions.map((ranges: unknown, i) => {
    if (!Array.isArray(ranges)) throw new HostMemoryError('INVALID', `${about}: regions[${i}] is not a list of ranges`)
    return ranges.map((range: unknown, j) => parseRange(range, `${about}: regions[${i}][${j}]`))
  })
}

function parseRange(range: unknown, where: string): ByteRange {
  const [startBytes, endBytes, ...more] = Array.isArray(range) ? (range as unknown[]) : []
  if (typeof startBytes !== 'number' || typeof endBytes !== 'number' || more.length > 0) {
    throw new HostMemoryError(
      'INVALID',
      `${where} should be [startByte, endByte], found ${JSON.stringify(range)?.slice(0, 80)}`,
    )
  }
  return { startBytes, endBytes }
}

function parseJson(text: string, about: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new HostMemoryError('INVALID', `${about} is not JSON: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
