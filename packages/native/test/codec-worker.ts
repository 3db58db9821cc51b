import { parentPort, workerData } from 'node:worker_threads'
import { type CodecName, openCodec } from '../src/index.ts'

// Compresses each page of a shared slab into another, in pieces as large as a page may need, and says how long each is.
const { name, pages, room, slab } = workerData as {
  name: CodecName
  pages: SharedArrayBuffer
  room: number
  slab: SharedArrayBuffer
}
using codec = openCodec(name)
const src = new Uint8Array(pages)
const dst = new Uint8Array(slab)
const lengths: number[] = []
for (let page = 0; page < src.length / 4096; page++) {
  lengths.push(codec.compress(src, page * 4096, 4096, dst, page * room))
}
parentPort?.postMessage({ library: codec.library, lengths })
