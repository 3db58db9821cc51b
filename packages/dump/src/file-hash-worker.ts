import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

const CHUNK_BYTES = 4 << 20

const { path } = workerData as { path: string }
const hash = createHash('sha256')
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
const file = openSync(path, 'r')
let bytes = 0
try {
  for (;;) {
    const read = readSync(file, chunk, 0, CHUNK_BYTES, bytes)
    if (read === 0) break
    hash.update(chunk.subarray(0, read))
    bytes += read
  }
} finally {
  closeSync(file)
}
parentPort?.postMessage({ sha256: hash.digest('hex'), bytes })
