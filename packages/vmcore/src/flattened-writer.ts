import { startKdump } from './kdump-writer.ts'
import {
  END_FLAG_FLAT_HEADER,
  MAKEDUMPFILE_SIGNATURE,
  MAX_SIZE_MDF_HEADER,
  makedumpfile_data_header,
  makedumpfile_header,
  TYPE_FLAT_HEADER,
  VERSION_FLAT_HEADER,
} from './kdump-layout.ts'
import type { PositionedSink, VmcoreFrames, VmcoreHeader, VmcoreWriter } from './vmcore-writer.ts'

/**
 * Starts a flattened kdump-compressed file: the same content as `startKdump`, as records that say where they belong.
 * Writes to `sink` strictly one after another, each where the one before ended, so that it may be a pipe.
 * `makedumpfile -R` makes the plain file of it.
 */
export async function startFlattened(
  sink: PositionedSink,
  header: VmcoreHeader,
  frames: VmcoreFrames,
): Promise<VmcoreWriter> {
  let position = 0
  const emit = async (bytes: Uint8Array): Promise<void> => {
    await sink.write(bytes, position)
    position += bytes.length
  }

  const start = new Uint8Array(MAX_SIZE_MDF_HEADER)
  makedumpfile_header.write(
    start,
    0,
    { signature: MAKEDUMPFILE_SIGNATURE, type: TYPE_FLAT_HEADER, version: VERSION_FLAT_HEADER },
    'big',
  )
  await emit(start)

  const records: PositionedSink = {
    async write(bytes, offset) {
      const record = { offset: BigInt(offset), buf_size: BigInt(bytes.length) }
      await emit(makedumpfile_data_header.toBytes(record, 'big'))
      await emit(bytes)
    },
  }
  const writer = await startKdump(records, header, frames)
  return {
    append: (batch) => writer.append(batch),
    async finish() {
      const summary = await writer.finish()
      const end = { offset: END_FLAG_FLAT_HEADER, buf_size: END_FLAG_FLAT_HEADER }
      await emit(makedumpfile_data_header.toBytes(end, 'big'))
      return { ...summary, bytes: position }
    },
  }
}
