import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { adviseHugePages } from './huge-pages.ts'

const MIB = 2 ** 20

/** Bytes of this process that it has asked huge pages for (proc(5): VmFlags `hg` of each mapping in smaps). */
function advisedBytes(): number {
  const mappings = readFileSync('/proc/self/smaps', 'latin1').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  return mappings
    .filter((text) => /^VmFlags:.*\bhg\b/m.test(text))
    .reduce((sum, text) => sum + Number(/^Size:\s+(\d+) kB/m.exec(text)?.[1]) * 1024, 0)
}

test('huge pages are asked for behind the whole of a large buffer but its ends', () => {
  const before = advisedBytes()
  const buffer = new SharedArrayBuffer(16 * MIB)
  const given = adviseHugePages(buffer)
  // A kernel without transparent huge pages answers EINVAL, and a mapping has no such flag then.
  expect(advisedBytes() - before).toBeGreaterThanOrEqual(given ? 12 * MIB : 0)
  new Uint8Array(buffer).fill(7)
  expect(new Uint8Array(buffer).every((byte) => byte === 7)).toBe(true)
})

test('a buffer without room for a huge page is left as it is', () => {
  expect(adviseHugePages(new ArrayBuffer(4096))).toBe(false)
  expect(adviseHugePages(new ArrayBuffer(0))).toBe(false)
})
