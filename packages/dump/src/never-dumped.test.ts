import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ClassRuns, GUEST_CLASS, guestClasses } from './frame-codes.ts'
import { NeverDumped } from './never-dumped.ts'

const COUNT = 400
const window = { start: 40_000, count: COUNT }
const classesOf = fc.uint8Array({ minLength: COUNT, maxLength: COUNT, max: guestClasses.length - 1 })
const left: readonly number[] = [GUEST_CLASS.offline, GUEST_CLASS.hwpoison, GUEST_CLASS.unaccepted]

it('remembers what the guest leaves out at every level, whatever the guest says later', () => {
  fc.assert(
    fc.property(classesOf, classesOf, (before, after) => {
      const found = NeverDumped.find([window], ({ start, count }, into) => {
        into.start(count)
        into.addCodes(0, before.subarray(start - window.start, start - window.start + count))
      })
      const runs = new ClassRuns()
      runs.start(COUNT)
      runs.addCodes(0, after)
      found.restore(window, runs)
      const later = new Uint8Array(COUNT)
      runs.writeTo(later)
      before.forEach((code, i) => {
        expect(found.frames.has(window.start + i)).toBe(left.includes(code))
        expect(later[i]).toBe(left.includes(code) ? code : after[i])
      })
      expect(found.frames.size).toBe(before.filter((code) => left.includes(code)).length)
    }),
    { numRuns: 40 },
  )
})
