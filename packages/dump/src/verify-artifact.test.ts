import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCodec } from '@ullage/native'
import { type Compression, pageFlags, startKdump } from '@ullage/vmcore'
import { afterAll, describe, expect, test } from 'vitest'
import { verifyArtifact } from './verify-artifact.ts'

const PAGE = 4096
const FRAMES = 10_000
const dir = mkdtempSync(join(tmpdir(), 'ullage-verify-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** A vmcore of FRAMES pages, each of its own and all compressed. Returns where the data of the last page ends. */
async function writeVmcore(path: string, compression: Exclude<Compression, 'none'>): Promise<number> {
  const fd = openSync(path, 'w')
  using codec = openCodec(compression)
  const sink = {
    write: async (bytes: Uint8Array, position: number) => void writeSync(fd, bytes, 0, bytes.length, position),
  }
  const run = [{ start: 16, count: FRAMES }]
  const writer = await startKdump(
    sink,
    {
      machine: 'x86_64',
      pageBytes: PAGE,
      uname: { sysname: 'Linux', nodename: 'guest', release: '6.1.0', version: '#1', domainname: '' },
      cpus: 1,
      physBase: 0n,
      dumpLevel: 1,
      compression,
      elfNotes: new Uint8Array(0),
      timestamp: new Date(0),
    },
    { maxPfn: 16 + FRAMES, present: () => run, stored: () => run, storedCount: FRAMES },
  )
  const page = new Uint8Array(PAGE)
  const room = new Uint8Array(codec.maxCompressedBytes(PAGE))
  for (let frame = 0; frame < FRAMES; frame++) {
    new DataView(page.buffer).setUint32(frame % 1000, frame + 1, true)
    const size = codec.compress(page, 0, PAGE, room, 0)
    const flags = Uint32Array.of(pageFlags[compression])
    await writer.append({ count: 1, sizes: Uint32Array.of(size), flags, payload: room.slice(0, size) })
  }
  const { bytes } = await writer.finish()
  closeSync(fd)
  return bytes
}

describe.each(['zstd', 'lzo', 'snappy', 'zlib'] as const)('%s', (compression) => {
  const path = join(dir, compression)

  test('a good file is read back and hashed', async () => {
    const bytes = await writeVmcore(path, compression)
    const progress: number[] = []
    const found = await verifyArtifact(path, { onProgress: (done) => progress.push(done) })
    expect(found).toMatchObject({ pages: FRAMES, zeroPages: 0, trailingBytes: 0, bytes })
    expect(found.byCompression[compression]).toBe(FRAMES)
    expect(found.sha256).toBe(createHash('sha256').update(readFileSync(path)).digest('hex'))
    expect(progress.at(-1)).toBe(FRAMES)
  })

  test('one bad page is named', async () => {
    const bytes = readFileSync(path)
    bytes.fill(0xff, bytes.length - 3)
    const bad = join(dir, `${compression}.bad`)
    writeFileSync(bad, bytes)
    await expect(verifyArtifact(bad)).rejects.toMatchObject({
      name: 'VmcoreError',
      code: 'CORRUPT',
      message: expect.stringContaining(`pfn 0x${(16 + FRAMES - 1).toString(16)} at offset`),
    })
  })
})

test('bytes after the end are an error', async () => {
  const path = join(dir, 'longer')
  await writeVmcore(path, 'lzo')
  writeFileSync(path, Buffer.alloc(5), { flag: 'a' })
  await expect(verifyArtifact(path)).rejects.toMatchObject({
    code: 'VERIFY_FAILED',
    message: expect.stringContaining('5 bytes'),
  })
})

test('stops when told to', async () => {
  const path = join(dir, 'stopped')
  await writeVmcore(path, 'lzo')
  const controller = new AbortController()
  const verifying = verifyArtifact(path, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')),
  })
  await expect(verifying).rejects.toThrow('enough')
})

test('jobs that cannot be are refused', async () => {
  const path = join(dir, 'jobs')
  await writeVmcore(path, 'lzo')
  await expect(verifyArtifact(path, { jobs: 0 })).rejects.toThrow(RangeError)
})
