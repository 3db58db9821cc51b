import { openCodec } from '@ullage/native'
import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import type { SlotLayout } from './batch-slots.ts'
import { BatchCompressor, type CompressSettings } from './compress-batch.ts'

/** What a compressing thread is started with. */
export interface CompressWorkerData {
  readonly codec: 'zstd' | 'lzo' | 'snappy' | 'zlib' | undefined
}

/** Memory to work on, before the first order. */
export interface CompressMemory {
  /** Pages that were read. */
  readonly store: SharedArrayBuffer
  /** `batches` of them, as `layout` says. */
  readonly slots: SharedArrayBuffer
  readonly layout: SlotLayout
  readonly batches: number
  readonly settings: CompressSettings
}

/**
 * Read `pieces` (descriptor, offset in the file, bytes; three numbers each) into the store from byte `at` on; then
 * compress `count` frames of batch `batch`, where there is one.
 */
export interface CompressOrder {
  readonly id: number
  readonly at: number
  readonly pieces: readonly number[]
  readonly batch?: number
  readonly count: number
}

/** An order is done, and its payloads take `bytes`. `unread`: a piece could not be read, and nothing was compressed. */
export interface CompressDone {
  readonly id: number
  readonly bytes: number
  readonly unread: boolean
}

const { codec: codecName } = workerData as CompressWorkerData
const codec = codecName === undefined ? undefined : openCodec(codecName)
let store: Uint8Array = new Uint8Array(0)
let compressors: readonly BatchCompressor[] = []

parentPort?.on('message', (message: CompressOrder | CompressMemory) => {
  if ('store' in message) {
    const { settings } = message
    store = new Uint8Array(message.store)
    compressors = Array.from(
      { length: message.batches },
      (_, index) => new BatchCompressor(message, index, settings, codec),
    )
    return
  }
  const { id, at, pieces, batch, count } = message
  const unread = !readPieces(pieces, at)
  const bytes = unread || batch === undefined ? 0 : compressorOf(batch).compress(count, at)
  parentPort?.postMessage({ id, bytes, unread } satisfies CompressDone)
})

function compressorOf(batch: number): BatchCompressor {
  const compressor = compressors[batch]
  if (!compressor) throw new RangeError(`no batch ${batch}, there are ${compressors.length}`)
  return compressor
}

/** False when a piece could not be read whole: whoever asked for it tries again and finds out why. */
function readPieces(pieces: readonly number[], start: number): boolean {
  let at = start
  for (let i = 0; i < pieces.length; i += 3) {
    const [fd, offsetBytes, sizeBytes] = pieces.slice(i, i + 3) as [number, number, number]
    for (let done = 0; done < sizeBytes; ) {
      const read = tryRead(fd, at + done, sizeBytes - done, offsetBytes + done)
      if (read === 0) return false
      done += read
    }
    at += sizeBytes
  }
  return true
}

function tryRead(fd: number, at: number, length: number, position: number): number {
  try {
    return readSync(fd, store, at, length, position)
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) return 0
    throw error
  }
}
