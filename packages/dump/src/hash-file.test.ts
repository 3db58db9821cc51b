import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { hashFile } from './hash-file.ts'

const dir = mkdtempSync(join(tmpdir(), 'ullage-hash-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const MIB = 1 << 20

test.each([0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])(
  'a file of %d bytes, by path and by descriptor',
  async (bytes) => {
    const path = join(dir, `${bytes}`)
    const content = Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * i) >>> 9))
    writeFileSync(path, content)
    const expected = { bytes, sha256: createHash('sha256').update(content).digest('hex') }
    expect(await hashFile(path)).toEqual(expected)
    const fd = openSync(path, 'r')
    try {
      expect(await hashFile(fd)).toEqual(expected)
    } finally {
      closeSync(fd)
    }
  },
)

test('stops when told to, before and in the middle', async () => {
  const path = join(dir, 'long')
  writeFileSync(path, Buffer.alloc(64 * MIB))
  await expect(hashFile(path, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
  const controller = new AbortController()
  const hashing = hashFile(path, controller.signal)
  setImmediate(() => controller.abort(new Error('enough')))
  await expect(hashing).rejects.toThrow('enough')
})

test('what cannot be read is an error', async () => {
  await expect(hashFile(join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(hashFile(dir)).rejects.toMatchObject({ code: 'EISDIR' })
})
