import { expect, test } from 'vitest'
import { checkJsonBulk } from './check-json-bulk.ts'

const check = (text: string) =>
  checkJsonBulk(Buffer.from(text), { about: 'dm.json', what: 'balloon ranges', maxNesting: 3, maxItems: 12 })

test.each([
  '{"ballooned": [[0, 1], [2, 3]], "hotAdded": [[8, 1]]}',
  '{"ballooned": [], "[[[[\\"[[[[,,,,,,,,,,,,,,": 1}',
  '',
  ']]]]',
  '"',
])('takes %s', (text) => expect(() => check(text)).not.toThrow())

test.each([
  ['{"ballooned": [[[', /^dm\.json: expected balloon ranges, 3 lists deep at most, found more at byte 16$/],
  [`{"ballooned": ${'['.repeat(100_000)}`, /3 lists deep at most, found more at byte 16$/],
  ['{"ballooned": [[],[],[],[],[],[]]}', /12 lists and commas at most, found more at byte 30$/],
  ['{"ballooned": [0,0,0,0,0,0,0,0,0,0,0,0]}', /12 lists and commas at most, found more at byte 36$/],
])('refuses %.40s', (text, message) => {
  expect(() => check(text)).toThrow(
    expect.objectContaining({ name: 'HostMemoryError', code: 'INVALID', message: expect.stringMatching(message) }),
  )
})
