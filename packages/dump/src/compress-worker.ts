import { openCodec } from '@ullage/native'
import { parentPort, workerData } from 'node:worker_threads'
import { BatchCompressor, type BatchMemory, type CompressSettings } from './compress-batch.ts'

/** What a compressing thread is started with. */
export interface CompressWorkerData {
  readonly batches: readonly BatchMemory[]
  readonly settings: CompressSettings
  readonly codec: 'zstd' | 'lzo' | 'snappy' | 'zlib' | undefined
}

/** Compress `count` frames of batch `batch`. */
export interface CompressOrder {
  readonly batch: number
  readonly count: number
}

/** Batch `batch` is done and its payloads take `bytes`. */
export interface CompressDone {
  readonly batch: number
  readonly bytes: number
}

const { batches, settings, codec: codecName } = workerData as CompressWorkerData
const codec = codecName === undefined ? undefined : openCodec(codecName)
const compressors = batches.map((memory) => new BatchCompressor(memory, settings, codec))

parentPort?.on('message', ({ batch, count }: CompressOrder) => {
  const compressor = compressors[batch]
  if (!compressor) throw new RangeError(`no batch ${batch}, there are ${compressors.length}`)
  parentPort?.postMessage({ batch, bytes: compressor.compress(count) } satisfies CompressDone)
})
