import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeElfNote, findElfNote, readElfNotes } from './elf-notes.ts'
import { LayoutError } from './layout-error.ts'

const concat = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

describe('reading', () => {
  const blob = concat(
    encodeElfNote('CORE', 1, new Uint8Array(336)),
    encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode('OSRELEASE=6.1\n')),
  )

  test('finds names, types, descriptions and where they stand', () => {
    const [core, info] = [...readElfNotes(blob)]
    expect(core).toMatchObject({ name: 'CORE', type: 1, position: 0, descPosition: 20 })
    expect(info).toMatchObject({ name: 'VMCOREINFO', type: 0, position: 356, descPosition: 380 })
    expect(new TextDecoder().decode(info?.desc)).toBe('OSRELEASE=6.1\n')
    expect(findElfNote(blob, 'VMCOREINFO')?.descPosition).toBe(380)
    expect(findElfNote(blob, 'QEMU')).toBeUndefined()
  })

  test('ends at an empty note and at zeros that are no note', () => {
    expect([...readElfNotes(concat(blob, new Uint8Array(12), Uint8Array.of(1, 2, 3)))]).toHaveLength(2)
    expect([...readElfNotes(concat(blob, new Uint8Array(7)))]).toHaveLength(2)
    expect([...readElfNotes(new Uint8Array(0))]).toHaveLength(0)
  })

  test('takes a last note without its padding', () => {
    const unpadded = encodeElfNote('X', 3, Uint8Array.of(1, 2, 3, 4, 5)).subarray(0, 21)
    expect([...readElfNotes(unpadded)]).toMatchObject([{ name: 'X', desc: Uint8Array.of(1, 2, 3, 4, 5) }])
  })

  test('refuses a note that leaves the blob, saying which and by how much', () => {
    const huge = blob.slice()
    new DataView(huge.buffer).setUint32(360, 0xffff_ffff, true)
    expect(() => [...readElfNotes(huge)]).toThrow(
      new LayoutError(
        'description of the ELF note at offset 356 needs 4294967295 bytes at offset 380, only 16 are left',
      ),
    )
    new DataView(huge.buffer).setUint32(0, 0xffff_fffe, true)
    expect(() => [...readElfNotes(huge)]).toThrow('name of the ELF note at offset 0 needs 4294967294 bytes')
    expect(() => [...readElfNotes(concat(blob, Uint8Array.of(1)))]).toThrow(LayoutError)
  })
})

test('notes read back as they were written, whatever the lengths', () => {
  const note = fc.record({
    name: fc.stringMatching(/^[A-Z0-9_]{1,12}$/),
    type: fc.nat(0xffff_ffff),
    desc: fc.uint8Array({ maxLength: 40 }),
  })
  fc.assert(
    fc.property(fc.array(note, { maxLength: 6 }), (notes) => {
      const blob = concat(...notes.map(({ name, type, desc }) => encodeElfNote(name, type, desc)))
      const read = [...readElfNotes(blob)].map(({ name, type, desc }) => ({ name, type, desc: [...desc] }))
      expect(read).toEqual(notes.map((n) => ({ ...n, desc: [...n.desc] })))
    }),
  )
})

test('any bytes at all are read or refused, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (blob) => {
      try {
        for (const { desc, descPosition } of readElfNotes(blob))
          expect(descPosition + desc.length <= blob.length).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(LayoutError)
      }
    }),
    { numRuns: 500 },
  )
})
