import { expect, test } from 'vitest'
import { DumpTraceparents } from './dump-traceparents.ts'

test('a dump has the traceparent of its request until it is queued', () => {
  const traceparents = new DumpTraceparents()
  traceparents.keep('a', 'of a')
  traceparents.keep('b', 'of b')
  traceparents.drop('a')
  expect([traceparents.of('a'), traceparents.of('b')]).toEqual([undefined, 'of b'])
})

test('those of dumps that are never queued do not gather without end', () => {
  const traceparents = new DumpTraceparents()
  for (let n = 0; n < 10_005; n++) traceparents.keep(`dump ${n}`, `of ${n}`)
  expect([4, 5, 10_004].map((n) => traceparents.of(`dump ${n}`))).toEqual([undefined, 'of 5', 'of 10004'])
})
