import { expect, test } from 'vitest'
import { dumpJob } from './dump-job.ts'
import { dumpOptions } from './dump-options.ts'
import { traceparent } from './traceparent.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

test.each([
  [`00-${TRACE}-${SPAN}-01`, true],
  [`00-${TRACE}-${SPAN}-00`, true],
  [`01-${TRACE}-${SPAN}-01`, false],
  [`00-${'0'.repeat(32)}-${SPAN}-01`, false],
  [`00-${TRACE}-${'0'.repeat(16)}-01`, false],
  [`00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
  [`00-${TRACE}-${SPAN}-01-more`, false],
  [`00-${TRACE}-${SPAN}-01\n`, false],
  ['', false],
])('%j is a traceparent: %s', (text, expected) => {
  expect(traceparent.safeParse(text).success).toBe(expected)
})

test('a job has one or none, and no other text in its place', () => {
  const job = {
    schema: 'ullage.job/1',
    dump: '0197b0a2-7e0b-4c39-8d86-3f7f7f1b6f10',
    guest: 'web-1',
    options: dumpOptions.parse({}),
  }
  expect(dumpJob.parse(job)).not.toHaveProperty('traceparent')
  expect(dumpJob.parse({ ...job, traceparent: `00-${TRACE}-${SPAN}-01` }).traceparent).toContain(TRACE)
  expect(dumpJob.safeParse({ ...job, traceparent: 'http://collector' }).success).toBe(false)
})
