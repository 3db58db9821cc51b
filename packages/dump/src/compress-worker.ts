import { openCodec } from '@ullage/native'
import { type CheckedFile, type PageFindings, type PageTable, PageVerifier } from '@ullage/vmcore'
import { readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import type { SlotLayout } from './batch-slots.ts'
import { BatchCompressor, type CompressedBatch, type CompressSettings } from './compress-batch.ts'
import { openDecompress } from './decompress.ts'

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

/** A file whose pages are checked, before the first order that asks for it. */
export interface CheckFile {
  readonly file: CheckedFile
}

/** Check the pages of a table. */
export interface CheckOrder {
  readonly id: number
  readonly table: PageTable
}

/** A table is done. */
export interface CheckDone {
  readonly id: number
  readonly findings: PageFindings
}

/** An order is done. `unread`: a piece could not be read, and nothing was compressed. */
export interface CompressDone extends CompressedBatch {
  readonly id: number
  readonly unread: boolean
}

const NOTHING: CompressedBatch = { bytes: 0, broken: undefined }

const { codec: codecName } = workerData as CompressWorkerData
const codec = codecName === undefined ? undefined : openCodec(codecName)
let store: Uint8Array = new Uint8Array(0)
let compressors: readonly BatchCompressor[] = []
let verifier: PageVerifier | undefined

parentPort?.on('message', (message: CompressMemory | CompressOrder | CheckFile | CheckOrder) => {
  if ('store' in message) use(message)
  else if ('file' in message) verifier = new PageVerifier(message.file, openDecompress())
  else if ('table' in message) check(message)
  else compress(message)
})

function use(memory: CompressMemory): void {
  store = new Uint8Array(memory.store)
  compressors = Array.from(
    { length: memory.batches },
    (_, index) => new BatchCompressor(memory, index, memory.settings, codec),
  )
}

function check({ id, table }: CheckOrder): void {
  if (!verifier) throw new RangeError('no file to check')
  parentPort?.postMessage({ id, findings: verifier.check(table) } satisfies CheckDone)
}

function compress({ id, at, pieces, batch, count }: CompressOrder): void {
  const unread = !readPieces(pieces, at)
  const done = unread || batch === undefined ? NOTHING : compressorOf(batch).compress(count, at)
  parentPort?.postMessage({ id, ...done, unread } satisfies CompressDone)
}

function compressorOf(batch: number): BatchCompressor {
  const compressor = compressors[batch]
  if (!compressor) throw new RangeError(`no batch ${batch}, there are ${compressors.length}`)
  return compressor
}

/** False when a piece could not be read whole: whoever asked for it tries again and finds out why. */
function readPieces(pieces: readonly number[], start: number): boolean {
  let at = start
  for (let i = 0; i < pieces.length; i += 3) {
    const [fd, offsetBytes, sizeBytes] = [pieces[i], pieces[i + 1], pieces[i + 2]] as [number, number, number]
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
