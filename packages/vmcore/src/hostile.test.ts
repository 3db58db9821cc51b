import { join } from 'node:path'
import { encodeElfNote, offsetOf } from '@ullage/layout'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BITMAP_1,
  BITMAP_2,
  DATA,
  DESCRIPTORS,
  copyOf,
  dir,
  errorOf,
  PAGE,
  present,
  readAll,
  STORED,
  stored,
} from '../test/good-files.ts'
import { fillByPfn, formats, writeDump } from '../test/write-dump.ts'
import { disk_dump_header } from './kdump-layout.ts'
import { VmcoreError } from './vmcore-error.ts'

test.each(formats)('%s as it was written is good', async (format) => {
  expect(await readAll(copyOf(format))).toMatchObject({ pages: STORED, zeroPages: 6, trailingBytes: 0 })
})

describe('a file that ends too early', () => {
  test.each(formats)('%s, wherever it ends', async (format) => {
    const whole = copyOf(format)
    const structures = [16, 464, PAGE, PAGE + 104, PAGE + 200, BITMAP_1, BITMAP_2, DESCRIPTORS, DATA, DATA + PAGE]
    const cuts = new Set([...structures.flatMap((at) => [at - 1, at, at + 1]), whole.length - 1])
    for (let cut = 33; cut < whole.length; cut += 997) cuts.add(cut)
    for (const cut of cuts) {
      if (cut >= whole.length || cut < 16) continue
      const error = await errorOf(whole.subarray(0, cut))
      // A file that is cut inside its signature may be anything.
      expect([cut, error.code]).toEqual([cut, 'TRUNCATED'])
    }
  })

  test('kdump that says of itself that it is incomplete', async () => {
    const bytes = copyOf('kdump')
    bytes.writeUInt32LE(0x28, offsetOf(disk_dump_header, 'status'))
    expect((await errorOf(bytes)).code).toBe('TRUNCATED')
  })
})

test.each(formats)('%s with bytes appended: they are counted', async (format) => {
  const summary = await readAll(Buffer.concat([copyOf(format), Buffer.alloc(1234)]))
  // Nothing after the end record of a flattened file is part of the file inside.
  expect(summary.trailingBytes).toBe(format === 'flattened' ? 0 : 1234)
})

test('a note blob from the guest that breaks off is refused when writing', async () => {
  const elfNotes = encodeElfNote('VMCOREINFO', 0, new Uint8Array(8)).subarray(0, 26)
  for (const format of formats) {
    const writing = writeDump(join(dir, 'broken'), { format, header: { elfNotes }, present, stored, fill: fillByPfn })
    await expect(writing).rejects.toThrow('only 2 are left')
  }
})

test.each(formats)(
  '%s with any bytes changed is read or refused with a VmcoreError, never anything else',
  async (format) => {
    const whole = copyOf(format)
    const change = fc.record({
      // Most of the harm can be done at the front.
      at: fc.oneof(fc.nat(700), fc.nat(DATA + 100), fc.nat(whole.length - 1)),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const bytes = Buffer.from(whole)
        for (const { at, bytes: changed } of changes) bytes.set(changed.subarray(0, whole.length - at), at)
        const found = await readAll(bytes).catch((error: unknown) => error)
        if (found instanceof Error) expect(found).toBeInstanceOf(VmcoreError)
      }),
      { numRuns: 200 },
    )
  },
)
