import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { codecNames, openCodec } from '../src/index.ts'

const PAGES = 2000

/** Pages between all equal and random, so that every codec meets literals, matches and what cannot be compressed. */
function somePages(): SharedArrayBuffer {
  const pages = new SharedArrayBuffer(PAGES * 4096)
  const bytes = new Uint8Array(pages)
  let state = 12345
  for (let i = 0; i < bytes.length; i++) {
    state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff
    bytes[i] = i % PAGES < i >>> 12 ? state >>> 16 : (i >>> 6) & 0xff
  }
  return pages
}

test.each(codecNames)('%s works in several threads at once, on memory they share', async (name) => {
  const pages = somePages()
  const src = new Uint8Array(pages)
  using codec = openCodec(name)
  const room = codec.maxCompressedBytes(4096)
  const jobs = [0, 1, 2, 3].map(async () => {
    const slab = new SharedArrayBuffer(PAGES * room)
    const worker = new Worker(new URL('codec-worker.ts', import.meta.url), {
      workerData: { name, pages, room, slab },
      execArgv: ['--conditions=@ullage/source'],
    })
    const exit = once(worker, 'exit')
    const [message] = (await once(worker, 'message')) as [{ library: string; lengths: number[] }]
    await exit
    return { slab: new Uint8Array(slab), ...message }
  })
  const page = new Uint8Array(4096)
  for (const { slab, lengths, library } of await Promise.all(jobs)) {
    expect(library).toBe(codec.library)
    expect(lengths.length).toBe(PAGES)
    lengths.forEach((length, i) => {
      expect(codec.decompress(slab, i * room, length, page, 0, 4096)).toBe(4096)
      if (!Buffer.from(page).equals(Buffer.from(pages, i * 4096, 4096))) throw new Error(`page ${i} differs`)
    })
    expect(src.length).toBe(PAGES * 4096)
  }
})
