import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decompress } from '../test/page-codecs.ts'
import { temporaryFolder } from '../test/temporary-folder.ts'
import { fillByPfn, formats, writeDump } from '../test/write-dump.ts'
import type { Decompress } from './decompress.ts'
import { page_desc } from './kdump-layout.ts'
import { openVmcore } from './open-vmcore.ts'
import { verifyVmcore } from './verify-vmcore.ts'

const PAGE = 4096
const dir = temporaryFolder()
/** More than one table of pages, the last of them not full. */
const runs = [
  { start: 10, count: 9000 },
  { start: 50_000, count: 9000 },
]

describe.each(formats)('%s', (format) => {
  test('counts pages, zeros and codecs, and tells how far it is', async () => {
    const path = join(dir, format)
    const summary = await writeDump(path, { format, compression: 'zstd', present: runs, stored: runs, fill: fillByPfn })
    await using vmcore = await openVmcore(path, { decompress })
    const progress: [number, number][] = []
    const verified = await verifyVmcore(vmcore, { onProgress: (...told) => progress.push(told) })
    const byCompression = format === 'elf' ? { none: 18_000, zstd: 0 } : { none: 12_000, zstd: 6000 }
    expect(verified).toMatchObject({ pages: 18_000, zeroPages: summary.zeroPages, excludedFrames: 0, byCompression })
    expect(progress).toEqual([4096, 8192, 12_288, 16_384, 18_000].map((pages) => [pages, 18_000]))
  })

  test('stops when told to', async () => {
    const path = join(dir, `${format}.stop`)
    await writeDump(path, { format, present: runs, stored: runs, fill: fillByPfn })
    await using vmcore = await openVmcore(path)
    const controller = new AbortController()
    const onProgress = (): void => controller.abort()
    await expect(verifyVmcore(vmcore, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
    await expect(verifyVmcore(vmcore, { signal: controller.signal, onProgress })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })
})

test('decompresses with what it is given rather than with what the vmcore was opened with', async () => {
  const path = join(dir, 'given')
  await writeDump(path, { format: 'kdump', compression: 'lzo', present: runs, stored: runs, fill: fillByPfn })
  await using vmcore = await openVmcore(path)
  await expect(verifyVmcore(vmcore)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  expect(await verifyVmcore(vmcore, { decompress })).toMatchObject({ pages: 18_000 })
})

test('a page whose codec is missing on this machine is not called broken', async () => {
  const path = join(dir, 'missing')
  await writeDump(path, { format: 'kdump', compression: 'lzo', present: runs, stored: runs, fill: fillByPfn })
  await using vmcore = await openVmcore(path)
  const lzo = (): never => {
    throw Object.assign(new Error('lzo needs liblzo2.so.2'), { code: 'LIBRARY_MISSING' })
  }
  await expect(verifyVmcore(vmcore, { decompress: { lzo } })).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(/^pfn 0xa at offset \d+ is compressed with lzo: lzo needs liblzo2\.so\.2$/),
  })
})

test('frames that share a page: it is decompressed once for each table', async () => {
  const path = join(dir, 'shared')
  const some = [{ start: 1, count: 6000 }]
  // The first page compresses, the others do not.
  const fill = (pfn: number, page: Uint8Array): void => fillByPfn(pfn === 1 ? 1 : 3 * pfn + 2, page)
  await writeDump(path, { format: 'kdump', compression: 'zstd', present: some, stored: some, fill })
  let calls = 0
  const counting: Decompress = {
    zstd: (...args) => {
      calls++
      return decompress.zstd?.(...args) ?? 0
    },
  }
  const file = await open(path, 'r+')
  const first = Buffer.alloc(page_desc.size)
  const table = 4 * PAGE
  await file.read(first, 0, first.length, table)
  // Of the first table of pages, of the second, and none of them next to another.
  for (let i = 2900; i < 5000; i += 7) await file.write(first, 0, first.length, table + i * page_desc.size)
  await file.close()
  await using vmcore = await openVmcore(path, { decompress: counting })
  expect(await verifyVmcore(vmcore)).toMatchObject({ byCompression: { zstd: 301, none: 5699 } })
  expect(calls).toBe(2)
})
