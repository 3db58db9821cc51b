import { readSync } from 'node:fs'
import { type ExtentArrays, ExtentMap } from './extent-map.ts'
import { checkInside } from './check-inside.ts'
import { pieces } from './flattened-pieces.ts'
import { VmcoreError } from './vmcore-error.ts'

/** The bytes of an open source as every thread of this process can read them: plain data, to be posted to a thread. */
export interface SharedBytes {
  readonly fd: number
  /** Of the plain file inside, where it is flattened. */
  readonly sizeBytes: number
  /** Of a flattened file: which of its bytes are which of the plain file inside. */
  readonly extents: ExtentArrays | undefined
}

/** Bytes that are read at once, on the thread that asks. */
export interface SharedReader {
  readonly sizeBytes: number
  /** Fills all of `into` from byte `position`, or throws, a VmcoreError or what the system says. Never a short read. */
  read(into: Uint8Array, position: number): void
}

export function openShared({ fd, sizeBytes, extents }: SharedBytes): SharedReader {
  const map = extents ? ExtentMap.fromArrays(extents) : undefined
  return {
    sizeBytes,
    read(into, position) {
      checkInside(sizeBytes, into.length, position, 'what is read')
      if (!map) {
        readWhole(fd, into, position)
        return
      }
      for (const { at, length, filePosition } of pieces(map, position, into.length)) {
        if (filePosition === undefined) {
          throw new VmcoreError('CORRUPT', `no record of the flattened file holds offset ${position + at}`)
        }
        readWhole(fd, into.subarray(at, at + length), filePosition)
      }
    },
  }
}

function readWhole(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length; ) {
    const got = readSync(fd, into, done, into.length - done, position + done)
    if (got === 0) throw new VmcoreError('TRUNCATED', `the file ends at ${position + done}`)
    done += got
  }
}
