import { encodeRamBlock, type RamBlockForm } from './ram-block.ts'
import { type StorageOptions, StorageWriter } from './storage-writer.ts'

const PAGE_BYTES = 4096
const BLOCK_BYTES = 1 << 20
const BLOCK_FRAMES = BLOCK_BYTES / PAGE_BYTES

/** A contiguous range of guest RAM; counts frames. */
export interface MadeMemoryBlock {
  readonly start: number
  readonly count: number
  readonly isHotAdded?: boolean
  /** Fills `into` with the frames from `pfn` on. */
  read(pfn: number, into: Uint8Array): void
}

export interface MadeSavedState extends StorageOptions {
  readonly blocks: readonly MadeMemoryBlock[]
  readonly form: RamBlockForm | ((block: number) => RamBlockForm)
  /** RamBlocks that are left out, by the frame they begin with. */
  isAbsent?(pfn: number): boolean
  readonly partitionState?: Uint8Array | undefined
  readonly vmVersion?: number
  /** Last word on the keys before the file is finished. */
  also?(writer: StorageWriter): void
}

/**
 * Writes a saved state around guest RAM, a RamBlock at a time: for tests. By the public descriptions in microsoft/openvmm
 * (support/hvs_file/FORMAT.md, vmm_core/hyperv_dump), with compressed RamBlocks as two other parsers have them.
 */
export function writeSavedState(path: string, state: MadeSavedState): void {
  const writer = new StorageWriter(path)
  const version = state.vmVersion ?? 0x0a00
  writer.int('/savedstate/VmVersion', version)
  writer.int('/configuration/properties/version', version)
  writer.string('/savedstate/type', 'Normal')
  if (state.partitionState) writer.array('/savedstate/savedVM/partition_state', state.partitionState)
  let number = 0
  state.blocks.forEach((block, i) => {
    writer.array(`/savedstate/RamMemoryBlock${i}`, metadata(block, number * BLOCK_FRAMES))
    for (let at = 0; at < block.count; at += BLOCK_FRAMES, number++) {
      if (state.isAbsent?.(block.start + at)) continue
      const bytes = new Uint8Array(BLOCK_BYTES)
      block.read(block.start + at, bytes.subarray(0, Math.min(BLOCK_FRAMES, block.count - at) * PAGE_BYTES))
      const form = typeof state.form === 'function' ? state.form(number) : state.form
      writer.array(`/savedstate/RamBlock${number}`, encodeRamBlock(bytes, form))
    }
  })
  state.also?.(writer)
  writer.finish(state)
}

function metadata(block: MadeMemoryBlock, firstStored: number): Uint8Array {
  const bytes = Buffer.alloc(48)
  bytes.writeUInt32LE(3)
  bytes.writeUInt32LE(block.isHotAdded ? 1 : 0, 4)
  bytes.writeBigUInt64LE(BigInt(block.count), 8)
  bytes.writeBigUInt64LE(BigInt(firstStored), 16)
  bytes.writeBigUInt64LE(BigInt(block.start), 24)
  return bytes
}
