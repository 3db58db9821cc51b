import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError } from './lab-error.ts'
import type { MemoryRegion } from './memory-view.ts'

/** The regions that `guest.json` and `backing.json` of an unpacked fixture describe. */
export async function readFixtureRegions(dir: string): Promise<MemoryRegion[]> {
  const descriptor: unknown = JSON.parse(await readFile(join(dir, 'guest.json'), 'utf8'))
  const backing: unknown = JSON.parse(await readFile(join(dir, 'backing.json'), 'utf8'))
  const source = property(descriptor, 'source', 'guest.json')
  const regions = list(property(source, 'regions', 'guest.json'), 'guest.json')
  const ranges = list(property(backing, 'regions', 'backing.json'), 'backing.json')
  return regions.map((region, index) => ({
    gpaBytes: bytes(property(region, 'gpa', 'guest.json')),
    sizeBytes: bytes(property(region, 'size', 'guest.json')),
    file: join(dir, String(property(region, 'file', 'guest.json'))),
    offsetBytes: bytes(property(region, 'offset', 'guest.json')),
    backedBytes: list(ranges[index], 'backing.json').map((range) => {
      const [startByte, endByte] = list(range, 'backing.json')
      return { startByte: bytes(startByte), endByte: bytes(endByte) }
    }),
  }))
}

function property(value: unknown, key: string, file: string): unknown {
  if (typeof value === 'object' && value !== null && key in value) return Reflect.get(value, key)
  throw new LabError(`${file}: expected an object with ${key}, found ${JSON.stringify(value)}`)
}

function list(value: unknown, file: string): unknown[] {
  if (Array.isArray(value)) return value
  throw new LabError(`${file}: expected a list, found ${JSON.stringify(value)}`)
}

function bytes(value: unknown): number {
  const number = Number(value)
  if (Number.isSafeInteger(number) && number >= 0) return number
  throw new LabError(`expected a number of bytes, found ${JSON.stringify(value)}`)
}
