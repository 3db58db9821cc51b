import { encodeElfNote } from '@ullage/layout'
import { expect, test } from 'vitest'
import { usableNotes } from './usable-notes.ts'

const cpu = encodeElfNote('CORE', 1, new Uint8Array(336))
const vmcoreinfo = encodeElfNote('VMCOREINFO', 0, new TextEncoder().encode('OSRELEASE=x\n'))

test('notes that can be read stay as they are', () => {
  const notes = Buffer.concat([cpu, vmcoreinfo])
  expect(usableNotes(notes)).toEqual({ elfNotes: notes, warnings: [] })
  expect(usableNotes(new Uint8Array())).toEqual({ elfNotes: new Uint8Array(), warnings: [] })
})

test('what comes after a note that cannot be read is left out, and said', () => {
  const notes = Buffer.concat([cpu, vmcoreinfo.subarray(0, 20)])
  const { elfNotes, warnings } = usableNotes(notes)
  expect([...elfNotes]).toEqual([...cpu])
  expect(warnings).toMatchObject([{ code: 'NOTES_CUT', text: expect.stringContaining(`from byte ${cpu.length} on`) }])
})

test('a VMCOREINFO larger than any is left out, and no other', () => {
  const huge = encodeElfNote('VMCOREINFO', 0, new Uint8Array(2 ** 20 + 1))
  const { elfNotes, warnings } = usableNotes(Buffer.concat([huge, cpu]))
  expect([...elfNotes]).toEqual([...cpu])
  expect(warnings).toMatchObject([{ code: 'NOTES_CUT' }])
})
