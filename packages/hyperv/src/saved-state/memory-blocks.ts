import type { RamExtent } from '@ullage/offline-query'
import { findValue, type KeyStore, readArray } from './key-store.ts'

import { BLOCK_FRAMES } from './ram-blocks.ts'
import { corrupt, type StorageFile, unsupported } from './storage-file.ts'
import { MemoryBlock } from './storage-layout.ts'

const VERSION = 3
/** Up to the node, and with KsrBlockId: openvmm has written down both. */
const SIZES = [40, 48]
const MAX_BLOCKS = 4096
/** Frames that 52 physical address bits can name. */
const FRAME_LIMIT = 2n ** 40n

export type BlockKind = 'ram' | 'hotAdded' | 'sgx' | 'vtl2' | 'specificPurpose'

const KINDS: readonly (readonly [number, BlockKind, string])[] = [
  [1, 'hotAdded', 'hot-added'],
  [2, 'sgx', 'sgx'],
  [4, 'vtl2', 'vtl2'],
  [8, 'specificPurpose', 'specific-purpose'],
]

/** One contiguous range of guest RAM: its frames stand one after the other in RamBlocks from `firstBlock` on. */
export interface MemoryBlockExtent extends RamExtent {
  readonly firstBlock: number
  readonly kinds: readonly BlockKind[]
}

/**
 * The memory blocks, ascending: `/savedstate/RamMemoryBlock0`, 1, … Throws OfflineError: UNSUPPORTED for another version or
 * size of the structure, or one that does not begin with a RamBlock; CORRUPT when there is none or a gap in their
 * numbers, or two share frames or RamBlocks.
 */
export function readMemoryBlocks(file: StorageFile, keys: KeyStore): MemoryBlockExtent[] {
  const prefix = '/savedstate/RamMemoryBlock'
  const blocks: MemoryBlockExtent[] = []
  for (let i = 0; i <= MAX_BLOCKS; i++) {
    const value = findValue(file, keys, `${prefix}${i}`)
    if (!value) break
    if (i === MAX_BLOCKS) throw unsupported(file, `${MAX_BLOCKS} memory blocks at most`, 'more')
    if (!SIZES.includes(value.sizeBytes)) {
      throw unsupported(file, `${value.path} of ${SIZES.join(' or ')} bytes`, `${value.sizeBytes}`)
    }
    blocks.push(toExtent(file, i, readArray(file, value, Math.max(...SIZES))))
  }
  const all = [...keys.values.keys()].filter(
    (path) => path.startsWith(prefix) && /^[0-9]+$/.test(path.slice(prefix.length)),
  ).length
  if (blocks.length === 0 || all !== blocks.length) {
    throw corrupt(
      file,
      `expected ${prefix}0 and so on, found ${all} such keys, ${blocks.length} of them in order from 0` +
        (all === 0 ? ': it holds no memory, as the .vmrs of a guest that runs or is off' : ''),
    )
  }
  refuseShared(file, blocks)
  return blocks.sort((a, b) => a.start - b.start)
}

function toExtent(file: StorageFile, number: number, bytes: Uint8Array): MemoryBlockExtent {
  const block = MemoryBlock.read(bytes)
  const what = `RamMemoryBlock${number}`
  if (block.version !== VERSION) throw unsupported(file, `${what} of version ${VERSION}`, `${block.version}`)
  const { gpaIndexStart: start, pageCountTotal: count, mbpIndexStart } = block
  if (count === 0n || start + count > FRAME_LIMIT || mbpIndexStart + count > FRAME_LIMIT) {
    throw corrupt(file, `${what} has ${count} frames from ${start} on, at ${mbpIndexStart} of those stored`)
  }
  if (mbpIndexStart % BigInt(BLOCK_FRAMES) !== 0n) {
    throw unsupported(
      file,
      `${what} to begin with a RamBlock of ${BLOCK_FRAMES} frames`,
      `frame ${mbpIndexStart} of those stored`,
    )
  }
  const kinds = KINDS.filter(([bit]) => (block.flags & bit) !== 0)
  const name = kinds.length === 0 ? what : `${what} (${kinds.map(([, , text]) => text).join(', ')})`
  return {
    name,
    start: Number(start),
    count: Number(count),
    firstBlock: Number(mbpIndexStart) / BLOCK_FRAMES,
    kinds: kinds.length === 0 ? ['ram'] : kinds.map(([, kind]) => kind),
  }
}

function refuseShared(file: StorageFile, blocks: readonly MemoryBlockExtent[]): void {
  const check = (ranges: { start: number; end: number; name: string }[], of: string): void => {
    ranges.sort((a, b) => a.start - b.start)
    ranges.slice(1).forEach(({ start, name }, i) => {
      const before = ranges[i]
      if (before && start < before.end) throw corrupt(file, `${before.name} and ${name} share ${of} ${start}`)
    })
  }
  check(
    blocks.map(({ start, count, name }) => ({ start, end: start + count, name })),
    'frame',
  )
  const stored = blocks.map(({ firstBlock, count, name }) => {
    return { start: firstBlock, end: firstBlock + Math.ceil(count / BLOCK_FRAMES), name }
  })
  check(stored, 'RamBlock')
}
