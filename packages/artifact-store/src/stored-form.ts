import { readSync } from 'node:fs'
import type { Sealing } from './delivery.ts'
import { CHUNK_BYTES, ChunkCipher, chunksOf, sealedBytes, SLOT_BYTES } from './sealed-format.ts'
import { StoreError } from './store-error.ts'

/** A finished plain file as it is to be kept: as it is, or encrypted. */
export interface StoredForm {
  readonly storedBytes: number
  /** The stored bytes [startByte, endByte), made anew each time and the same each time. `startByte` is a multiple of `unit`. */
  make(startByte: number, endByte: number): Buffer
}

/** Stored bytes start at multiples of this where they are made; and so many plain bytes are made to so many stored ones. */
export function unitsOf(sealing: Sealing | undefined): { storedBytes: number; plainBytes: number } {
  return sealing
    ? { storedBytes: SLOT_BYTES, plainBytes: CHUNK_BYTES }
    : { storedBytes: CHUNK_BYTES, plainBytes: CHUNK_BYTES }
}

/** `fd` is the plain file, whose `plainBytes` bytes are final where they are asked for. */
export function storedForm(fd: number, plainBytes: number, sealing: Sealing | undefined): StoredForm {
  if (!sealing) {
    return { storedBytes: plainBytes, make: (startByte, endByte) => readWhole(fd, startByte, endByte - startByte) }
  }
  const header = Buffer.from(sealing.header, 'base64')
  const cipher = new ChunkCipher(header, Buffer.from(sealing.dataKey, 'base64'))
  const last = chunksOf(plainBytes) - 1
  const total = sealedBytes(plainBytes)
  return {
    storedBytes: total,
    make(startByte, endByte) {
      const slots: Buffer[] = []
      for (let slot = startByte / SLOT_BYTES; slot * SLOT_BYTES < endByte; slot++) {
        if (slot === 0) {
          slots.push(header)
          continue
        }
        const index = slot - 1
        const at = index * CHUNK_BYTES
        slots.push(cipher.seal(readWhole(fd, at, Math.min(CHUNK_BYTES, plainBytes - at)), index, index === last))
      }
      return Buffer.concat(slots)
    },
  }
}

function readWhole(fd: number, position: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  for (let at = 0; at < bytes; ) {
    const read = readSync(fd, buffer, at, bytes - at, position + at)
    if (read === 0) throw new StoreError('STORE_CORRUPT', `the file that is to be stored ends at byte ${position + at}`)
    at += read
  }
  return buffer
}
