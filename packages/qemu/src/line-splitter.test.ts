import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineSplitter } from './line-splitter.ts'

test('lines are the same however their bytes arrive', () => {
  const lines = fc.array(fc.string({ unit: fc.constantFrom('a', 'é', '"', ' ') }), { minLength: 1 })
  fc.assert(
    fc.property(lines, fc.array(fc.integer({ min: 1, max: 5 })), (expected, cuts) => {
      const bytes = Buffer.from(`${expected.join('\r\n')}\n`)
      const splitter = new LineSplitter(1000)
      const found: string[] = []
      let at = 0
      for (const size of [...cuts, bytes.length]) {
        found.push(...splitter.push(bytes.subarray(at, at + size)))
        at += size
      }
      expect(found).toEqual(expected)
    }),
  )
})

test('a line that does not end is refused before it fills memory', () => {
  const splitter = new LineSplitter(10)
  expect([...splitter.push(Buffer.from('1234567890\n12345'))]).toEqual(['1234567890'])
  expect(splitter.unfinished).toBe('12345')
  expect(() => [...splitter.push(Buffer.from('678901'))]).toThrow(RangeError)
})
