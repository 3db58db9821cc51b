import { closeSync, openSync } from 'node:fs'
import { endOf, type PfnRange } from '@ullage/pages'
import { afterAll, describe, expect, it } from 'vitest'
import { failuresOf, FOUR_GIB, FRAME_BYTES, type GuestClass } from '../../test/made-guest.ts'
import { OfflineError } from '../offline-error.ts'
import { MemoryGuest } from './index.ts'

class ShiftedAbove4GiB extends MemoryGuest {
  protected override frame(pfn: number) {
    return super.frame(pfn >= FOUR_GIB && this.extents.some(({ start }) => start === pfn) ? pfn + 1 : pfn)
  }
}

class ShortReads extends MemoryGuest {
  override read(range: PfnRange, into: Uint8Array) {
    const whole = new Uint8Array(into.length)
    super.read(range, whole)
    into.set(whole.subarray(0, Math.min(whole.length, 16 * FRAME_BYTES)))
  }
}

class WritesBesideTheBuffer extends MemoryGuest {
  override read(range: PfnRange, into: Uint8Array) {
    super.read(range, into)
    new Uint8Array(into.buffer).fill(0, into.byteOffset + into.length)
  }
}

class ZerosForUnreadable extends MemoryGuest {
  protected override frame(pfn: number) {
    try {
      return super.frame(pfn)
    } catch (error) {
      if (error instanceof OfflineError) return new Uint8Array(FRAME_BYTES)
      throw error
    }
  }
}

class ZerosOutsideRam extends MemoryGuest {
  override read(range: PfnRange, into: Uint8Array) {
    const inRam = this.extents.some((extent) => extent.start <= range.start && endOf(range) <= endOf(extent))
    if (inRam || range.count > 1) super.read(range, into)
    else into.fill(0)
  }
}

class AllocatesWhenRead extends MemoryGuest {
  #extra = 0
  protected override frame(pfn: number) {
    if (super.frame(pfn).every((byte) => byte === 0)) this.#extra += FRAME_BYTES
    return super.frame(pfn)
  }
  override async hostMemory() {
    const { backedBytes, residentBytes } = await super.hostMemory()
    return { backedBytes: backedBytes + this.#extra, residentBytes }
  }
}

const zeros = openSync('/dev/zero', 'r')
afterAll(() => closeSync(zeros))

class NamesAnotherFile extends MemoryGuest {
  filePieces({ count }: PfnRange) {
    return [{ fd: zeros, offsetBytes: 0, sizeBytes: count * FRAME_BYTES }]
  }
}

const wrong: [GuestClass, RegExp][] = [
  [NamesAnotherFile, /guest memory has the same content in the files that it names/],
  [ShiftedAbove4GiB, /guest memory has the true content on both sides/],
  [ShortReads, /guest memory fills all of the buffer/],
  [WritesBesideTheBuffer, /guest memory fills all of the buffer and nothing beside/],
  [ZerosForUnreadable, /guest memory throws for a frame that it cannot give/],
  [ZerosOutsideRam, /guest memory refuses frames outside RAM/],
  [AllocatesWhenRead, /guest memory is not changed by being read/],
]

describe('the suite, of guest memory', () => {
  it.each(wrong.map(([Guest, test]) => [Guest.name, Guest, test] as const))('fails %s', async (_name, Guest, test) => {
    expect(await failuresOf(Guest, test)).not.toEqual([])
  })
})
